/** `sluice dataset …`: what a person who writes a dataset needs. */
import { SluiceError } from '#common/errors/sluice-error.js';
import { loadRegistry, type RegisteredDataset } from '#core/registry/registry.js';
import type { Exit } from '../../exit-codes.js';
import type { CliContext } from '../context.js';
import { findDataset } from '../run.js';

export const DATASET_ACTIONS = ['test', 'describe', 'migration', 'recreate'] as const;
export type DatasetAction = (typeof DATASET_ACTIONS)[number];

export interface DatasetOptions {
  readonly yes?: boolean;
  readonly write?: boolean;
  readonly json?: boolean;
}

/** @throws SluiceError DATASET_UNKNOWN, and what the action throws */
export async function dataset(
  context: CliContext,
  action: DatasetAction,
  name: string,
  options: DatasetOptions,
): Promise<Exit> {
  const registry = await loadRegistry(context.settings().extraDatasetPaths());
  const entry = findDataset(registry.entries(), name);
  switch (action) {
    case 'test':
      return (await import('./test-dataset.js')).testDataset(context, entry, options);
    case 'describe':
      return (await import('./describe-dataset.js')).describeDataset(context, entry, options);
    case 'migration':
      return (await import('./write-migration.js')).writeMigration(context, entry);
    case 'recreate':
      return (await import('./recreate-dataset.js')).recreateDataset(context, entry, options);
  }
}

/** Of the running system, or as set. @throws SluiceError SYSTEM_UNREACHABLE */
export async function databaseUrlOf(context: CliContext): Promise<string> {
  const url = context.settings().databaseUrl ?? (await context.local.state())?.databaseUrl;
  if (url !== undefined) return url;
  throw new SluiceError(
    'SYSTEM_UNREACHABLE',
    'DATABASE_URL is not set, and Sluice is not running in this checkout.',
  );
}

/** A dataset as migrations see it. */
export function migrated({ name, folder, dataset: definition }: RegisteredDataset): {
  readonly name: string;
  readonly folder: string;
  readonly dataset: RegisteredDataset['dataset'];
} {
  return { name, folder, dataset: definition };
}
