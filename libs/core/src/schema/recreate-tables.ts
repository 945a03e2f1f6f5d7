import { SluiceError } from '#common/errors/sluice-error.js';
import { ACTIVE_STATES } from '../job/job-state.js';
import { type MigratedDataset, refused } from './dataset-migrations.js';
import { DRAFT_NOTE, recreateDraft } from './draft-tables.js';
import { connectToMigrate } from './migration-client.js';
import { withMigrationLock } from './migration-lock.js';

const LOCK_WAIT_MS = 60_000;

/**
 * Drops the tables of a draft with all rows and makes them by its contract.
 * @throws SluiceError JOB_ACTIVE while a job of the dataset could still write to them, MIGRATION_REFUSED where others depend on
 *   them
 */
export async function recreateTables(
  databaseUrl: string,
  { name, dataset }: Required<MigratedDataset>,
): Promise<void> {
  await withMigrationLock(databaseUrl, LOCK_WAIT_MS, async () => {
    const client = await connectToMigrate(databaseUrl);
    try {
      const { rows } = await client.query<{ id: string }>(
        'SELECT id FROM sluice.job WHERE dataset = $1 AND state = ANY($2) LIMIT 1',
        [name, ACTIVE_STATES],
      );
      const [job] = rows;
      if (job !== undefined) {
        throw new SluiceError(
          'JOB_ACTIVE',
          `Job ${job.id} of ${name} has not ended; its tables stay as they are.`,
          {
            dataset: name,
          },
        );
      }
      await recreateDraft(client, { ...dataset, name });
    } catch (error) {
      throw refused({ dataset: name, name: DRAFT_NOTE }, error);
    } finally {
      await client.end();
    }
  });
}
