/**
 * Tables of drafts: datasets without migrations, whose tables come from their contract. While a dataset is being written
 * its tables are made again whenever its contract changes; once it has migrations, they own the tables.
 *
 * - DR1: tables that hold rows are never dropped without `recreate`, which its caller has confirmed.
 * - DR2: the note of what was made is the SQL's hash: a contract that needs other tables is noticed, any other change is not.
 *   The tables are noted by name too, so that those that a contract has lost are dropped with the others.
 * - DR3: a first migration that is the very SQL of the draft counts as run (`dataset-migrations.ts`).
 */
import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset } from '../dataset/dataset.js';
import { createTablesSql, qualified, tableFacts } from '../derive/table-sql.js';
import { findTables } from './found-tables.js';

/** Stands where a migration's file name would. */
export const DRAFT_NOTE = 'contract';

export type DraftDataset = Pick<Dataset, 'name' | 'contract'>;

export function sha256Of(sql: string): string {
  return createHash('sha256').update(sql).digest('hex');
}

/** What was made for the draft last; null for nothing. */
export async function draftNote(client: Client, dataset: string): Promise<string | null> {
  const { rows } = await client.query<{ sha256: string }>(
    'SELECT sha256 FROM sluice.dataset_migration WHERE dataset = $1 AND file = $2',
    [dataset, DRAFT_NOTE],
  );
  return rows[0]?.sha256 ?? null;
}

/**
 * Makes the tables of a draft, or makes them again where they are of an earlier contract and hold no rows.
 * @returns what was done, or null where they are as the contract wants them
 * @throws SluiceError DRAFT_CHANGED when they are of an earlier contract and hold rows; TARGET_EXISTS when tables of these
 *   names are there that no draft has made
 */
export async function migrateDraft(
  client: Client,
  dataset: DraftDataset,
): Promise<'made' | 'made again' | null> {
  const sql = createTablesSql(dataset);
  const note = await draftNote(client, dataset.name);
  if (note === sha256Of(sql)) return null;
  const tables = await findTables(client, tableFacts(dataset));
  if (note === null && tables.length > 0) {
    throw new SluiceError(
      'TARGET_EXISTS',
      `Dataset ${dataset.name} has no migrations, and ${tables.map(qualified).join(', ')} exists already. ` +
        `Write migrations for it (sluice dataset migration ${dataset.name}), or drop the tables.`,
      { dataset: dataset.name },
    );
  }
  await recreateDraft(client, dataset, refuseRows);
  return note === null ? 'made' : 'made again';
}

/** DR1. Rows that a job writes meanwhile wait for the lock, and are not lost unseen. */
async function refuseRows(client: Client, dataset: string, tables: readonly string[]): Promise<void> {
  const filled: string[] = [];
  for (const table of tables) {
    await client.query(`LOCK TABLE ${table}`);
    const { rows } = await client.query<{ has: boolean }>(`SELECT EXISTS (SELECT FROM ${table}) AS has`);
    if (rows[0]?.has === true) filled.push(table);
  }
  if (filled.length === 0) return;
  throw new SluiceError(
    'DRAFT_CHANGED',
    `The contract of ${dataset} needs other tables than it had, and ${filled.join(', ')} has rows of the ` +
      `earlier ones. Drop them and make them again: sluice dataset recreate ${dataset}; or keep them, and change ` +
      `them by a migration: sluice dataset migration ${dataset}.`,
    { dataset },
  );
}

/** Before a table's qualified name, in the notes of what was made. */
const TABLE_NOTE = `${DRAFT_NOTE} table `;

/** Those that are there of an earlier contract and of this one, qualified. */
async function presentTables(client: Client, dataset: DraftDataset): Promise<string[]> {
  const { rows } = await client.query<{ file: string }>(
    'SELECT file FROM sluice.dataset_migration WHERE dataset = $1 AND starts_with(file, $2)',
    [dataset.name, TABLE_NOTE],
  );
  const noted = rows.map(({ file }) => file.slice(TABLE_NOTE.length));
  const { rows: present } = await client.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL',
    [[...new Set([...noted, ...tableFacts(dataset).map(qualified)])]],
  );
  return present.map(({ name }) => name);
}

/**
 * Drops the draft's tables with their rows and makes them by its contract, in one transaction; those of an earlier contract
 * too. What depends on them (a view) is not dropped: PostgreSQL refuses then.
 * @param demand asked before anything is dropped
 */
export async function recreateDraft(
  client: Client,
  dataset: DraftDataset,
  demand?: (client: Client, dataset: string, tables: readonly string[]) => Promise<void>,
): Promise<void> {
  const sql = createTablesSql(dataset);
  await client.query('BEGIN');
  try {
    const present = await presentTables(client, dataset);
    await demand?.(client, dataset.name, present);
    // In one statement, so that no order between parents and children is asked for.
    if (present.length > 0) await client.query(`DROP TABLE ${present.join(', ')}`);
    await client.query('DELETE FROM sluice.dataset_migration WHERE dataset = $1', [dataset.name]);
    await client.query(sql);
    const made = tableFacts(dataset).map(qualified);
    await client.query(
      `INSERT INTO sluice.dataset_migration (dataset, file, sha256)
       SELECT $1, note, $3 FROM unnest($2::text[]) AS note`,
      [dataset.name, [DRAFT_NOTE, ...made.map((table) => TABLE_NOTE + table)], sha256Of(sql)],
    );
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
