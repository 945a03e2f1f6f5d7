import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { RegisteredDataset } from '#core/registry/registry.js';
import { firstMigration, proposeChange } from '#core/schema/propose-migration.js';
import type { Exit } from '../../exit-codes.js';
import { PROGRAM } from '../../render/program-name.js';
import { type CliContext, write } from '../context.js';
import { databaseUrlOf, migrated } from './dataset.js';
import { sourceFolder } from './source-folder.js';

/**
 * `sluice dataset migration NAME`: writes the next SQL file of the dataset, to be read and then owned: its tables where it
 * has no migrations yet, else what makes the tables of the database fit the contract.
 */
export async function writeMigration(context: CliContext, entry: RegisteredDataset): Promise<Exit> {
  const folder = join(sourceFolder(entry.folder), 'migrations');
  const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith('.sql'));
  const isFirst = files.length === 0;
  const sql = isFirst
    ? firstMigration(migrated(entry))
    : await proposeChange(await databaseUrlOf(context), migrated(entry));
  if (sql === '') {
    await write(context.stdout, `The tables of ${entry.name} fit its contract: no migration is needed.\n`);
    return 'success';
  }
  const number = String(files.length + 1).padStart(3, '0');
  const file = join(folder, `${number}-${isFirst ? 'tables' : 'contract'}.sql`);
  await mkdir(folder, { recursive: true });
  await writeFile(file, sql, { flag: 'wx' });
  const shown = relative(context.cwd, file) || file;
  await write(context.stdout, `Wrote ${shown}. Read it, change what you like, then: ${PROGRAM} migrate\n`);
  return 'success';
}
