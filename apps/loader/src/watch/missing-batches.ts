import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import type { JobProblem } from '#api/job-facts.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type TopicEnds, groupProgress } from '#common/kafka/transport/consumer-lag.js';
import { jobErrorOf } from '#core/job/job.entity.js';
import { CONSUMER_GROUPS, topicOf } from '#core/message/topics.js';

/** A running job whose source is read to its end and whose ledger has not grown for a while. */
export interface WaitingJob {
  readonly id: string;
  readonly dataset: string;
  readonly epoch: number;
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
    `SELECT id, dataset, epoch FROM sluice.job
     WHERE state = 'running' AND total_batches IS NOT NULL AND problem IS NULL AND dataset = ANY($1)
       AND now() - $2 * interval '1 second' > coalesce(
         (SELECT max(loaded_at) FROM sluice.ledger WHERE ledger.job = job.id), job.started_at)
       AND total_batches > (SELECT count(*) FROM sluice.ledger WHERE ledger.job = job.id)`,
    [datasets, seconds],
  );
  return rows;
}

/** Ends of the topics behind which nothing of the job can stand: the clean one's is known once the raw one's is reached. */
interface Marks {
  readonly raw: TopicEnds;
  clean?: TopicEnds;
}

/**
 * Says which batches of waiting jobs can no longer arrive: they are not in the ledger, and neither topic holds a message
 * of the job that its group has yet to handle. They have expired, or were parked.
 *
 * The order of the queries makes it exact: all batches are published before the totals are known; a raw offset is
 * committed after its clean batch is written, a clean one after its ledger row is (G4). What is published behind is other
 * jobs' and is not waited for: beside a stream the topics may never be empty.
 */
export class MissingBatches {
  private marks = new Map<string, Marks>();

  constructor(
    private readonly pool: pg.Pool,
    private readonly kafka: Kafka,
  ) {}

  /** Forgets all jobs but these. A job that is published again has another epoch, and its batches stand behind the marks. */
  keepOnly(jobs: readonly WaitingJob[]): void {
    const keys = new Set(jobs.map(keyOf));
    this.marks = new Map([...this.marks].filter(([key]) => keys.has(key)));
  }

  /** @returns null while they may still come */
  async of(job: WaitingJob): Promise<JobProblem | null> {
    return (await this.areHandled(job)) ? nameMissing(this.pool, job) : null;
  }

  private async areHandled(job: WaitingJob): Promise<boolean> {
    const raw = await groupProgress(this.kafka, CONSUMER_GROUPS.validate, topicOf(job.dataset, 'raw'));
    const marks = this.marks.get(keyOf(job)) ?? { raw: raw.ends };
    this.marks.set(keyOf(job), marks);
    if (!raw.hasReached(marks.raw)) return false;
    const clean = await groupProgress(this.kafka, CONSUMER_GROUPS.load, topicOf(job.dataset, 'clean'));
    marks.clean ??= clean.ends;
    return clean.hasReached(marks.clean);
  }
}

const keyOf = ({ id, epoch }: WaitingJob): string => `${id} ${epoch}`;

async function nameMissing(pool: pg.Pool, job: WaitingJob): Promise<JobProblem | null> {
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
