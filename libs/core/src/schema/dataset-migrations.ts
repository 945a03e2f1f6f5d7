import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';

/** A dataset as far as its tables are concerned: its name and the folder with `migrations/NNN-name.sql`. */
export interface MigratedDataset {
  readonly name: string;
  readonly folder: string;
}

/**
 * Runs each dataset's SQL files that have not run yet, in order, each in its own transaction together
 * with the note that it ran. A file that was changed after it ran is refused: write a new one instead.
 * @returns the files that ran, as `<dataset>/<file>`
 */
export async function migrateDatasets(
  client: Client,
  datasets: readonly MigratedDataset[],
): Promise<string[]> {
  await client.query(`
    CREATE TABLE IF NOT EXISTS sluice.dataset_migration (
      dataset text NOT NULL,
      file text NOT NULL,
      sha256 text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (dataset, file)
    )`);
  const applied: string[] = [];
  for (const dataset of datasets) {
    const folder = join(dataset.folder, 'migrations');
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()) {
      const sql = await readFile(join(folder, file), 'utf8');
      const sha256 = createHash('sha256').update(sql).digest('hex');
      const { rows } = await client.query<{ sha256: string }>(
        'SELECT sha256 FROM sluice.dataset_migration WHERE dataset = $1 AND file = $2',
        [dataset.name, file],
      );
      if (rows[0] === undefined) {
        await runOnce(client, dataset.name, file, sql, sha256);
        applied.push(`${dataset.name}/${file}`);
      } else if (rows[0].sha256 !== sha256) {
        throw new SluiceError(
          'DATASET_INVALID',
          `Migration ${file} was changed after it ran; add a new file instead.`,
          {
            dataset: dataset.name,
            file,
          },
        );
      }
    }
  }
  return applied;
}

async function runOnce(
  client: Client,
  dataset: string,
  file: string,
  sql: string,
  sha256: string,
): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    await client.query('INSERT INTO sluice.dataset_migration (dataset, file, sha256) VALUES ($1, $2, $3)', [
      dataset,
      file,
      sha256,
    ]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}
