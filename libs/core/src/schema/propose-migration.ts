/**
 * The next migration of a dataset: the whole tables where it has none, else what makes the tables of a database fit its
 * contract. Checked by running it there and taking it back.
 */
import type pg from 'pg';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { alterTablesSql } from '../derive/alter-sql.js';
import { createTablesSql, tableFacts } from '../derive/table-sql.js';
import { pendingMigrations, type MigratedDataset } from './dataset-migrations.js';
import { findTables, withTypesOf } from './found-tables.js';
import { connectToMigrate } from './migration-client.js';

/**
 * @param databaseUrl where the dataset's migrations have run
 * @returns SQL; empty where the tables fit
 * @throws SluiceError SCHEMA_OUTDATED where migrations of it have not run, MIGRATION_REFUSED where PostgreSQL refuses what
 *   is proposed
 */
export async function proposeChange(
  databaseUrl: string,
  dataset: Required<MigratedDataset>,
): Promise<string> {
  const client = await connectToMigrate(databaseUrl);
  try {
    const pending = await pendingMigrations(client, dataset);
    if (pending.length > 0) {
      throw new SluiceError(
        'SCHEMA_OUTDATED',
        `Migrations of ${dataset.name} have not run: ${pending.join(', ')}. Run \`sluice migrate\` first.`,
        { dataset: dataset.name },
      );
    }
    return await tried(client, dataset);
  } finally {
    await client.end();
  }
}

/** Everything is rolled back: the database is as it was. */
async function tried(client: pg.Client, { name, dataset }: Required<MigratedDataset>): Promise<string> {
  await client.query('BEGIN');
  try {
    const wanted = await withTypesOf(client, tableFacts({ ...dataset, name }));
    const sql = alterTablesSql(wanted, await findTables(client, wanted));
    if (sql === '') return '';
    try {
      await client.query(sql);
    } catch (error) {
      throw refused(name, sql, error);
    }
    const left = alterTablesSql(wanted, await findTables(client, wanted));
    if (/^[^-]/m.test(left))
      throw new SluiceError('INTERNAL', `What was proposed for ${name} leaves this to change: ${left}`);
    return sql;
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

function refused(name: string, sql: string, error: unknown): unknown {
  const sqlstate = sqlstateOf(error);
  if (sqlstate === null) return error;
  return new SluiceError(
    'MIGRATION_REFUSED',
    `PostgreSQL refuses the change that the contract of ${name} needs (SQLSTATE ${sqlstate}): ${messageOf(error)}. ` +
      `Write the migration by hand; the proposal was:\n${sql}`,
    { dataset: name },
    { cause: error },
  );
}

/** The first migration: every table of the contract. @throws SluiceError DATASET_INVALID */
export function firstMigration({ name, dataset }: Required<MigratedDataset>): string {
  return createTablesSql({ ...dataset, name });
}
