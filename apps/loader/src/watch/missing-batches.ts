import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { groupProgress } from '#common/kafka/consumer-lag.js';
import { type JobProblem, jobErrorOf } from '#core/job/job.entity.js';
import { CONSUMER_GROUPS, topicOf } from '#core/message/topics.js';

/** A running job whose source is read to its end and whose ledger has not grown for a while. */
export interface WaitingJob {
  readonly id: string;
  readonly dataset: string;
}

/** Runs of missing batches that the message names; the rest is counted. */
const RUNS_NAMED = 10;

/** Jobs that wait for batches and have loaded none for `seconds`. */
export async function findWaiting(
  pool: pg.Pool,
  datasets: readonly string[],
  seconds: number,
): Promise<WaitingJob[]> {
  const { rows } = await pool.query<WaitingJob>(
    `SELECT id, dataset FROM sluice.job
     WHERE state = 'running' AND total_batches IS NOT NULL AND problem IS NULL AND dataset = ANY($1)
       AND now() - $2 * interval '1 second' > coalesce(
         (SELECT max(loaded_at) FROM sluice.ledger WHERE ledger.job = job.id), job.started_at)
       AND total_batches > (SELECT count(*) FROM sluice.ledger WHERE ledger.job = job.id)`,
    [datasets, seconds],
  );
  return rows;
}

/**
 * Says which batches of a waiting job can come no more: they are not in the ledger, and neither topic holds a message
 * that its group has still to handle. They have expired, or were parked.
 *
 * The order of the looks makes it exact: all batches are published before the totals are known; a raw offset is
 * committed after its clean batch is written, a clean one after its ledger row is (G4).
 * @returns null while they may still come
 */
export async function findMissing(pool: pg.Pool, kafka: Kafka, job: WaitingJob): Promise<JobProblem | null> {
  const { lag } = await groupProgress(kafka, CONSUMER_GROUPS.validate, topicOf(job.dataset, 'raw'));
  if (lag > 0n) return null;
  const after = await groupProgress(kafka, CONSUMER_GROUPS.load, topicOf(job.dataset, 'clean'));
  if (after.lag > 0n) return null;
  const { rows } = await pool.query<{ first: string; last: string }>(
    `SELECT min(batch) AS first, max(batch) AS last FROM (
       SELECT batch, batch - row_number() OVER (ORDER BY batch) AS run
       FROM sluice.job, generate_series(0, total_batches - 1) AS batch
       WHERE job.id = $1 AND NOT EXISTS (SELECT FROM sluice.ledger WHERE ledger.job = $1 AND ledger.batch = batch.batch)
     ) AS missing GROUP BY run ORDER BY 1`,
    [job.id],
  );
  const [firstRun] = rows;
  if (firstRun === undefined) return null;
  const named = rows
    .slice(0, RUNS_NAMED)
    .map(({ first, last }) => (first === last ? first : `${first}–${last}`))
    .join(', ');
  const more = rows.length > RUNS_NAMED ? `, and ${rows.length - RUNS_NAMED} more runs` : '';
  const error = new SluiceError(
    'BATCHES_MISSING',
    `Batches ${named}${more} are neither loaded nor in the topics any more.`,
    { job: job.id, dataset: job.dataset },
  );
  return { ...jobErrorOf(error), firstMissingBatch: Number(firstRun.first) };
}
