import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import type { Dataset } from '../dataset/dataset.js';
import { DRAFT_NOTE, draftNote, migrateDraft, sha256Of } from './draft-tables.js';

/** A dataset as far as its tables are concerned: its name and the folder with `migrations/NNN-name.sql`. */
export interface MigratedDataset {
  readonly name: string;
  readonly folder: string;
  /** Where the folder has no migrations its tables come from this contract (`draft-tables.ts`). */
  readonly dataset?: Pick<Dataset, 'name' | 'contract'>;
}

interface File {
  readonly dataset: string;
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/** What a file finds that wants to make what is there: schema, column, function, table, index or type, anything else. */
const ALREADY_THERE = new Set(['42P06', '42701', '42723', '42P07', '42710']);

export async function prepareDatasetMigrations(client: Client): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('sluice.dataset_migration') IS NOT NULL AS there`,
  );
  if (rows[0]?.there === true) return;
  await client.query(`
    CREATE TABLE sluice.dataset_migration (
      dataset text NOT NULL,
      file text NOT NULL,
      sha256 text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (dataset, file)
    )`);
}

/**
 * Runs a dataset's SQL files that have not run yet, in order, each in its own transaction together with the note that it
 * ran. A file that was changed after it ran is refused: write a new one instead.
 * @param adopt a file that finds what it makes counts as run: the tables outlived the notes, e.g. in a restored dump
 * @param onApplied receives `<dataset>/<file>` of each file once it is committed
 * @returns what stopped it, or null; errors that are no fault of the dataset's own (a lost connection) are thrown
 */
export async function migrateDataset(
  client: Client,
  dataset: MigratedDataset,
  adopt: boolean,
  onApplied: (name: string) => void,
): Promise<SluiceError | null> {
  try {
    const files = await filesOf(dataset);
    if (files.length === 0 && dataset.dataset !== undefined) {
      const done = await draftOf(client, dataset.name, dataset.dataset);
      if (done !== null) onApplied(`${dataset.name}/${DRAFT_NOTE} (draft, ${done})`);
      return null;
    }
    if (await adoptDraft(client, files))
      onApplied(`${dataset.name}/${files[0]?.name ?? ''} (made by the draft)`);
    for (const file of files) {
      const { rows } = await client.query<{ sha256: string }>(
        'SELECT sha256 FROM sluice.dataset_migration WHERE dataset = $1 AND file = $2',
        [file.dataset, file.name],
      );
      if (rows[0]?.sha256 === file.sha256) continue;
      if (rows[0] !== undefined) throw changed(file);
      const way = await runOnce(client, file, adopt);
      onApplied(`${file.dataset}/${file.name}${way}`);
    }
    return null;
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
}

/** File names of a dataset's migrations that have not run here. */
export async function pendingMigrations(client: Client, dataset: MigratedDataset): Promise<string[]> {
  const files = await filesOf(dataset);
  const { rows } = await client.query<{ file: string }>(
    'SELECT file FROM sluice.dataset_migration WHERE dataset = $1',
    [dataset.name],
  );
  return files.map(({ name }) => name).filter((name) => !rows.some(({ file }) => file === name));
}

/** @throws SluiceError, also for what PostgreSQL refused */
async function draftOf(
  client: Client,
  name: string,
  dataset: Pick<Dataset, 'name' | 'contract'>,
): Promise<'made' | 'made again' | null> {
  try {
    return await migrateDraft(client, { ...dataset, name });
  } catch (error) {
    throw refused({ dataset: name, name: DRAFT_NOTE }, error);
  }
}

/** DR3: the tables of a draft become those of its first migration, where that is the same SQL. */
async function adoptDraft(client: Client, [first]: readonly File[]): Promise<boolean> {
  if (first === undefined || (await draftNote(client, first.dataset)) === null) return false;
  const { rowCount } = await client.query(
    `WITH gone AS (DELETE FROM sluice.dataset_migration WHERE dataset = $1 AND starts_with(file, $4) RETURNING file, sha256)
     INSERT INTO sluice.dataset_migration (dataset, file, sha256)
     SELECT $1, $2, $3 FROM gone WHERE file = $4 AND sha256 = $3`,
    [first.dataset, first.name, first.sha256, DRAFT_NOTE],
  );
  return rowCount === 1;
}

async function filesOf({ name: dataset, folder }: MigratedDataset): Promise<File[]> {
  const directory = join(folder, 'migrations');
  if (!existsSync(directory)) return [];
  try {
    const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort();
    return await Promise.all(
      names.map(async (name) => {
        const sql = await readFile(join(directory, name), 'utf8');
        return { dataset, name, sql, sha256: sha256Of(sql) };
      }),
    );
  } catch (cause) {
    const message = `Migrations of ${dataset} cannot be read: ${messageOf(cause)}.`;
    throw new SluiceError('DATASET_INVALID', message, { dataset }, { cause });
  }
}

/** @returns how, to be put behind its name */
async function runOnce(client: Client, file: File, adopt: boolean): Promise<'' | ' (adopted)'> {
  await client.query('BEGIN');
  try {
    await client.query('SAVEPOINT before');
    let way: '' | ' (adopted)' = '';
    try {
      await client.query(file.sql);
    } catch (error) {
      if (!adopt || !ALREADY_THERE.has(sqlstateOf(error) ?? '')) throw refused(file, error);
      await client.query('ROLLBACK TO SAVEPOINT before');
      way = ' (adopted)';
    }
    await client.query('INSERT INTO sluice.dataset_migration (dataset, file, sha256) VALUES ($1, $2, $3)', [
      file.dataset,
      file.name,
      file.sha256,
    ]);
    await client.query('COMMIT');
    return way;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function changed({ dataset, name }: File): SluiceError {
  return new SluiceError(
    'DATASET_INVALID',
    `Migration ${dataset}/${name} was changed after it ran; add a new file instead.`,
    { dataset, file: name },
  );
}

/** What PostgreSQL said to a file, in a code of its own. An error of the connection stays what it is. */
export function refused({ dataset, name }: Pick<File, 'dataset' | 'name'>, error: unknown): unknown {
  const sqlstate = sqlstateOf(error);
  if (sqlstate === null) return error;
  const problem = databaseProblem(error);
  const where = { dataset, file: name };
  if (problem?.code === 'DATABASE_UNAVAILABLE') return error;
  if (problem !== null) {
    return new SluiceError(problem.code, `Migration ${dataset}/${name}: ${problem.message}`, where, {
      cause: error,
    });
  }
  if (ALREADY_THERE.has(sqlstate)) {
    return new SluiceError(
      'TARGET_EXISTS',
      `Migration ${dataset}/${name} has not run according to the control tables, and what it makes is there: ` +
        `${messageOf(error)}. If these are the dataset's tables, e.g. after a restore: sluice migrate --adopt ${dataset}.`,
      where,
      { cause: error },
    );
  }
  return new SluiceError(
    'MIGRATION_REFUSED',
    `PostgreSQL refused migration ${dataset}/${name} (SQLSTATE ${sqlstate}): ${messageOf(error)}.`,
    where,
    { cause: error },
  );
}
