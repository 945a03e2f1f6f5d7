import { SluiceError } from '#common/errors/sluice-error.js';
import type { SluiceClient } from '../client.js';
import { suggestion } from './closest-name.js';

/**
 * Distinguishes a mistyped dataset from one that has nothing to show. One that was removed since may still have jobs.
 * @throws SluiceError DATASET_UNKNOWN with what may have been meant
 */
export async function requireDataset(client: SluiceClient, name: string): Promise<void> {
  const names = (await client.datasets()).map((each) => each.name);
  if (names.includes(name)) return;
  for await (const _job of client.jobs({ dataset: name })) return;
  throw new SluiceError('DATASET_UNKNOWN', `There is no dataset "${name}".${suggestion(name, names)}`);
}
