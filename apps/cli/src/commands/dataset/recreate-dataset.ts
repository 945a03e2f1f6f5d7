import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ownCommand } from '#common/access/audit-log.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { tableFacts } from '#core/derive/table-sql.js';
import type { RegisteredDataset } from '#core/registry/registry.js';
import { recreateTables } from '#core/schema/recreate-tables.js';
import type { Exit } from '../../exit-codes.js';
import { confirm } from '../confirm.js';
import { type CliContext, interruptible, write } from '../context.js';
import { withAudit } from '../with-audit.js';
import { databaseUrlOf, type DatasetOptions, migrated } from './dataset.js';

/**
 * `sluice dataset recreate NAME`: drops the tables of a dataset without migrations, with all rows, and makes them by its
 * contract. Asks first.
 */
export async function recreateDataset(
  context: CliContext,
  entry: RegisteredDataset,
  { yes = false }: DatasetOptions,
): Promise<Exit> {
  const { name, folder } = entry;
  if (existsSync(join(folder, 'migrations'))) {
    throw new SluiceError(
      'USAGE_INVALID',
      `Dataset ${name} has migrations, which own its tables: change them by another migration (sluice dataset migration ${name}).`,
    );
  }
  const tables = tableFacts(entry.dataset).map(({ schema, table }) => `${schema}.${table}`);
  if (!yes) {
    const question = `This drops ${tables.join(', ')} with all rows.\n`;
    const withoutTerminal = `${question.trim()} There is no terminal to ask on: add --yes.`;
    await interruptible(context, (signal) => confirm(context, { question, withoutTerminal }, signal));
  }
  const databaseUrl = await databaseUrlOf(context);
  await withAudit(databaseUrl, (log) =>
    log.around(ownCommand('dataset.recreate', { dataset: name }), () =>
      recreateTables(databaseUrl, migrated(entry)),
    ),
  );
  await write(context.stdout, `Made again: ${tables.join(', ')}.\n`);
  return 'success';
}
