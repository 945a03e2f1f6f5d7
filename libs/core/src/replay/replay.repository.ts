import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { inTransaction } from '#common/postgres/pool.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { createJob } from '../job/create-job.js';
import type { JobSource } from '../job/job.entity.js';
import { unknownReplay } from './unknown-replay.js';
import { outcomeOf } from './replay.reader.js';
import { type OpenJob, type ReplayPlan, type ReplayedSettings, nextStep } from './replay.js';

/** What a job of a replay needs of the ingestor that begins it. */
export interface ReplayHost {
  /** A source by its address, as the job row keeps it. */
  readonly describe: (address: string) => JobSource;
  /** Of the dataset in this ingestor; null when it has no such dataset. */
  readonly versionOf: (dataset: string) => number | null;
}

interface NextJob {
  readonly position: number;
  readonly origin: string;
  readonly address: string;
  readonly settings: ReplayedSettings;
  /** The job before it in the replay, which has begun. */
  readonly after: string | null;
}

interface OpenReplay {
  readonly id: string;
  readonly dataset: string;
  readonly state: 'running' | 'cancelled';
  readonly at_once: number;
}

/** What came of a look at a replay. */
export type StepTaken = 'began' | 'waits' | 'ended' | 'held elsewhere';

/** WHERE: a job has not ended for good; the partial index `job_of_replay_open` lists the same and those that were given up. */
const IS_OPEN = `(state IN ('queued', 'running', 'paused', 'finalizing', 'failed') AND (state <> 'failed' OR resumable))`;

/** Of one statement. */
const JOBS_A_STATEMENT = 1_000;

/**
 * Replays in the database, and their steps.
 *
 * - RP1: what a replay covers is pinned when it begins, in the transaction that makes it: the jobs in their order, their batches,
 *   their settings, and the chosen records.
 * - RP2: a step is one transaction under the lock of the replay's row: a job row and its place in the replay are written
 *   together, or neither. So any ingestor may take the next step, two never take the same one, and nothing has to be
 *   taken over from one that ends.
 * - RP3: after a cancel no job of the replay begins.
 */
export class ReplayRepository {
  private readonly pool: Pool;

  /** @param database initialized */
  constructor(database: DataSource) {
    this.pool = poolOf(database);
  }

  /** @returns its id, and how many records it covers: of chosen ones those that were there at that moment */
  async create(plan: ReplayPlan): Promise<string> {
    const id = uuidv7();
    await inTransaction(this.pool, async (client) => {
      await client.query(
        `INSERT INTO sluice.replay (id, dataset, selection, which, mode, at_once, covered, deleted, left_out, by_whom)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          ...[id, plan.dataset, plan.selection, plan.which, plan.mode, plan.atOnce],
          ...[plan.covers, plan.deleted, JSON.stringify(plan.leftOut), plan.by],
        ],
      );
      await insertJobs(client, id, plan);
      await chooseRecords(client, id, plan);
    });
    faultPoint('replay.pinned');
    return id;
  }

  /** Replays that have a next step, oldest first. */
  async open(): Promise<{ readonly id: string; readonly state: 'running' | 'cancelled' }[]> {
    const { rows } = await this.pool.query<{ id: string; state: 'running' | 'cancelled' }>(
      'SELECT id, state FROM sluice.replay WHERE finished_at IS NULL ORDER BY id',
    );
    return rows;
  }

  /**
   * Takes the next step of a replay.
   * @throws SluiceError JOB_ACTIVE when a job of the dataset excludes the one that is to begin
   */
  async step(id: string, host: ReplayHost): Promise<StepTaken> {
    const taken = await inTransaction(this.pool, async (client): Promise<StepTaken> => {
      const { rows } = await client.query<OpenReplay>(
        `SELECT id, dataset, state, at_once FROM sluice.replay
         WHERE id = $1 AND finished_at IS NULL FOR UPDATE SKIP LOCKED`,
        [id],
      );
      const [replay] = rows;
      if (replay === undefined) return 'held elsewhere';
      return replay.state === 'cancelled' ? this.endCancelled(client, replay) : stepOf(client, replay, host);
    });
    if (taken === 'began') faultPoint('replay.job-row-written');
    return taken;
  }

  /**
   * running → cancelled: no further job of it begins.
   * @returns its jobs that are active, to be cancelled
   * @throws SluiceError REPLAY_UNKNOWN, REPLAY_TRANSITION_REFUSED
   */
  async cancel(id: string): Promise<string[]> {
    const { rowCount } = await this.pool.query(
      `UPDATE sluice.replay SET state = 'cancelled', wait = NULL WHERE id = $1 AND finished_at IS NULL`,
      [id],
    );
    if (rowCount !== 1) {
      const { rows } = await this.pool.query<{ state: string }>(
        'SELECT state FROM sluice.replay WHERE id = $1',
        [id],
      );
      const [found] = rows;
      if (found === undefined) throw unknownReplay(id);
      throw new SluiceError('REPLAY_TRANSITION_REFUSED', `Replay ${id} is ${found.state} already.`);
    }
    return this.activeJobs(id);
  }

  /** Jobs of the replay that have not ended. */
  async activeJobs(id: string): Promise<string[]> {
    const { rows } = await this.pool.query<{ id: string }>(
      `SELECT id FROM sluice.job WHERE replay = $1 AND ${IS_OPEN} AND state <> 'failed' ORDER BY id`,
      [id],
    );
    return rows.map(({ id: job }) => job);
  }

  /** Says in the row what the replay waits for; declared again with the same code it keeps its `since`. */
  async declareWait(
    id: string,
    { code, message, place }: Pick<SluiceError, 'code' | 'message' | 'place'>,
  ): Promise<void> {
    await declareWait(this.pool, id, code, message, place.job ?? null);
  }

  private async endCancelled(client: SqlClient, { id }: OpenReplay): Promise<StepTaken> {
    const { rows } = await client.query(
      `SELECT FROM sluice.job WHERE replay = $1 AND ${IS_OPEN} AND state <> 'failed' LIMIT 1`,
      [id],
    );
    if (rows.length > 0) return 'waits';
    await endReplay(client, id);
    return 'ended';
  }
}

async function stepOf(client: SqlClient, replay: OpenReplay, host: ReplayHost): Promise<StepTaken> {
  const { id, dataset, at_once: atOnce } = replay;
  const open = await client.query<OpenJob>(
    `SELECT id AS job, state FROM sluice.job WHERE replay = $1 AND ${IS_OPEN} ORDER BY id`,
    [id],
  );
  const waiting = await client.query<NextJob>(
    `SELECT position, origin, address, settings,
       (SELECT job FROM sluice.replay_job AS before WHERE before.replay = $1 AND before.position = replay_job.position - 1) AS after
     FROM sluice.replay_job WHERE replay = $1 AND job IS NULL ORDER BY position LIMIT 1`,
    [id],
  );
  const [next] = waiting.rows;
  const step = nextStep(open.rows, next !== undefined, atOnce);
  switch (step.do) {
    case 'wait':
      await waitFor(client, id, step.standing);
      return 'waits';
    case 'end':
      faultPoint('replay.before-end');
      await endReplay(client, id);
      return 'ended';
    case 'begin':
      if (next !== undefined) await begin(client, { id, dataset }, next, host);
      return 'began';
  }
}

async function begin(
  client: SqlClient,
  { id, dataset }: Pick<OpenReplay, 'id' | 'dataset'>,
  { position, origin, address, settings, after: afterJob }: NextJob,
  { describe, versionOf }: ReplayHost,
): Promise<void> {
  const contractVersion = versionOf(dataset);
  if (contractVersion === null)
    throw new SluiceError('DATASET_UNKNOWN', `This ingestor has no dataset "${dataset}".`, { dataset });
  const job = uuidv7();
  await createJob(client, {
    ...settings,
    ...{ id: job, dataset, source: describe(address), secretUri: address, contractVersion },
    ...{ dryRun: false, limitRecords: null, originJob: origin, replay: id, afterJob },
  });
  faultPoint('replay.before-place');
  await client.query('UPDATE sluice.replay_job SET job = $3 WHERE replay = $1 AND position = $2', [
    id,
    position,
    job,
  ]);
  await client.query('UPDATE sluice.replay SET wait = NULL WHERE id = $1 AND wait IS NOT NULL', [id]);
}

/** RE3: one that was cancelled stays so. */
async function endReplay(client: SqlClient, id: string): Promise<void> {
  await client.query(
    `UPDATE sluice.replay SET wait = NULL, finished_at = now(), outcome = ${outcomeOf('replay.id')},
       state = CASE WHEN state = 'cancelled' THEN state
         WHEN EXISTS (SELECT FROM sluice.job WHERE job.replay = replay.id AND job.state <> 'succeeded') THEN 'failed' ELSE 'succeeded' END
     WHERE id = $1`,
    [id],
  );
}

async function waitFor(client: SqlClient, id: string, standing: OpenJob | null): Promise<void> {
  if (standing === null) {
    await client.query('UPDATE sluice.replay SET wait = NULL WHERE id = $1 AND wait IS NOT NULL', [id]);
    return;
  }
  const { job, state } = standing;
  const message =
    state === 'paused'
      ? `Job ${job} of the replay is paused.`
      : `Job ${job} of the replay has failed: resume it, or discard it and the next one begins.`;
  await declareWait(client, id, 'REPLAY_JOB_STANDS', message, job);
}

async function declareWait(
  client: SqlClient,
  id: string,
  code: string,
  message: string,
  job: string | null,
): Promise<void> {
  await client.query(
    `UPDATE sluice.replay SET wait = jsonb_build_object('code', $2::text, 'message', $3::text, 'job', $4::text,
       'since', CASE WHEN wait->>'code' = $2 THEN wait->'since' ELSE to_jsonb(now()) END)
     WHERE id = $1 AND state = 'running' AND finished_at IS NULL
       AND (wait IS NULL OR wait->>'code' <> $2 OR wait->>'message' <> $3)`,
    [id, code, message, job],
  );
}

async function insertJobs(client: SqlClient, id: string, { jobs }: ReplayPlan): Promise<void> {
  for (let from = 0; from < jobs.length; from += JOBS_A_STATEMENT) {
    const part = jobs.slice(from, from + JOBS_A_STATEMENT);
    await client.query(
      `INSERT INTO sluice.replay_job (replay, position, origin, address, settings, chosen, batches, records)
       SELECT $1, $2 + number - 1, origin, address, settings, chosen, batches, records
       FROM unnest($3::uuid[], $4::text[], $5::jsonb[], $6::boolean[], $7::bigint[], $8::bigint[])
         WITH ORDINALITY AS given (origin, address, settings, chosen, batches, records, number)`,
      [
        ...[id, from, part.map(({ origin }) => origin), part.map(({ address }) => address)],
        part.map(({ settings }) => JSON.stringify(settings)),
        part.map(({ chosen }) => chosen !== false),
        ...[part.map(({ batches }) => batches), part.map(({ records }) => records)],
      ],
    );
  }
}

/** RP1: the open dead letters of this moment. */
async function chooseRecords(client: SqlClient, id: string, { jobs }: ReplayPlan): Promise<void> {
  for (const [position, { origin, chosen }] of jobs.entries()) {
    if (chosen === false) continue;
    await client.query(
      `INSERT INTO sluice.replay_record (replay, position, batch, records)
       SELECT $1, $2, batch, array_agg(record ORDER BY record) FROM sluice.dead_letter
       WHERE job = $3 AND state = 'open' AND ($4::bigint[] IS NULL OR batch = ANY($4)) GROUP BY batch`,
      [id, position, origin, chosen.batches],
    );
  }
}
