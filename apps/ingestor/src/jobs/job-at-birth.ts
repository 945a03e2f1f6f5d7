import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Dataset } from '#core/dataset/dataset.js';
import type { NewJob } from '#core/job/create-job.js';
import { type JobStart, startJob } from '#core/job/ingestor-transitions.js';
import { compileContract, planOfDeletes } from '#core/record/compile-contract.js';
import { checkColumnTypes } from '#core/staging/checks/column-types.js';
import type { KnownTargets } from '#core/staging/known-targets.js';
import { createStaging } from '#core/staging/staging-tables.js';

/** Makes a job's staging tables, after looking whether the targets take what the job will bring. @throws as `createStaging` */
export async function makeStaging(
  client: SqlClient,
  dataset: Dataset,
  job: Pick<NewJob, 'id' | 'mode' | 'dryRun' | 'options'>,
  head: Pick<JobStart['head'], 'columns' | 'context'>,
  known: KnownTargets,
): Promise<void> {
  const { columns, context } = head;
  const { tables } = compileContract(dataset, { columns, context, options: job.options });
  await createStaging(client, tables, job, known, planOfDeletes(dataset));
  await checkColumnTypes(client, dataset);
}

/**
 * Until it commits, the transaction holds the stream's row and the lanes of its dataset, for which operators and other jobs wait.
 * Who holds a target for longer than this (`LOCK TABLE`, `ALTER TABLE`) is waited for by the job's run, which holds neither.
 */
const LOCK_TIMEOUT = '200ms';

/**
 * Starts a job in the transaction that makes its row: a job whose source is known by then needs no second one.
 * What keeps it from being started is said by its run, in its row: so the caller makes the row alone when `hasFailed`.
 */
export class JobAtBirth {
  private failed = false;

  constructor(
    private readonly job: NewJob,
    private readonly dataset: Dataset,
    private readonly pinned: JobStart,
    private readonly known: KnownTargets,
  ) {}

  get hasFailed(): boolean {
    return this.failed;
  }

  /** @param client in the transaction that has made the row, claimed by this process with epoch 1 */
  readonly start = async (client: SqlClient): Promise<void> => {
    try {
      await client.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
      await startJob(client, { id: this.job.id, epoch: 1 }, this.pinned);
      await makeStaging(client, this.dataset, this.job, this.pinned.head, this.known);
    } catch (error) {
      this.failed = true;
      throw error;
    }
  };
}
