import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type pg from 'pg';
import type { Logger } from 'pino';
import { type Counter, type Gauge, Registry } from 'prom-client';
import { counter, gauge } from '#common/telemetry/metrics.js';
import type { DeadLetterState } from '#api/dead-letters.js';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { LOGGER, PG_POOL } from '#common/providers/tokens.js';
import { FOLD_LOCK } from '#core/job/begin-again.js';
import {
  type DeadLetterKey,
  type DeadLetterMove,
  type MovedDeadLetters,
  type OneOfTwo,
  moveDeadLetters,
} from '#core/repair/dead-letter-sums.js';
import { foldInTransaction } from '../fold/fold-transaction.js';

/** One transaction's dead letters, as of a discard. */
export const STEP_DEAD_LETTERS = 2_000;
const PAUSE_MS = 1_000;
/** While a repair job has something to decide. */
const PAUSE_WITH_JOBS_MS = 200;
/** Dead letters of a job that has succeeded are folded within seconds. */
const LATE_MINUTES = 5;
/** Of a dead letter whose repair job came to nothing. */
export const GIVEN_UP_REASON =
  'its repair job did not succeed, and the dead letter that was submitted again is open';

/** A repair job with dead letters that wait for its outcome. */
interface RepairJobRow {
  readonly id: string;
  readonly dataset: string;
  readonly state: string;
  readonly resumable: boolean;
  /** Of its counts; null until they are there. */
  readonly refused: number | null;
  /** Dead letters of it that are folded. */
  readonly known: number;
  /** It ended longer than LATE_MINUTES ago, by the database's clock. */
  readonly endedLongAgo: boolean;
}

/**
 * Decides what became of resubmitted dead letters, when their repair job has ended.
 *
 * - RO1: by what is stored alone: the job has succeeded, and as many of its dead letters are folded as its counts say. Then a
 *   dead letter of its record says `refused-again`; without one it is `landed`. Until then nothing is decided.
 *   So one that is parked, also one that was then skipped, holds all of its job: a parked message does not say whose it is.
 *   That is logged once, and counted.
 * - RO2: a job that was cancelled, or has failed and was given up, decides nothing: its dead letters are open again, with
 *   their corrections. What it refused itself, also when it is folded later, is discarded: the same record would be
 *   open twice.
 * - RO3: a step is one transaction that reads the job and moves dead letters by their state: several trackers at once, or one that
 *   ends anywhere, decide each of them once.
 */
@Injectable()
export class RepairOutcomes implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop: BackgroundLoop;
  private readonly decided: Counter<'dataset' | 'state'>;
  private readonly late: Gauge<'dataset'>;
  private hasJobs = false;
  private lateJobs: ReadonlySet<string> = new Set();

  constructor(
    @Inject(PG_POOL) private readonly pool: pg.Pool,
    @Inject(LOGGER) private readonly logger: Logger,
    registry: Registry,
  ) {
    this.decided = counter(registry, 'sluice_repair_outcomes_total');
    this.late = gauge(registry, 'sluice_repair_jobs_undecided');
    this.loop = new BackgroundLoop({
      duty: 'decide about resubmitted dead letters',
      turn: () => this.turn(),
      pauseMs: () => (this.hasJobs ? PAUSE_WITH_JOBS_MS : PAUSE_MS),
      logger,
    });
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop();
  }

  /** Decides whatever can be decided now. @throws SluiceError DATABASE_UNAVAILABLE */
  async turn(): Promise<void> {
    const waiting = await jobsWithResubmitted(this.pool);
    this.hasJobs = waiting.length > 0;
    this.noteLate(waiting.filter(isLate));
    const withoutOutcome = await jobsGivenUpWithOpen(this.pool);
    for (const job of waiting) await this.decide(job);
    for (const job of withoutOutcome)
      await this.moveAll(job, { ...OF_JOB, from: 'open', to: 'discarded', reason: GIVEN_UP_REASON });
  }

  /** RO1 */
  private noteLate(jobs: readonly RepairJobRow[]): void {
    this.late.reset();
    for (const { id, dataset, known, refused } of jobs) {
      this.late.inc({ dataset });
      if (!this.lateJobs.has(id))
        this.logger.warn(
          { job: id, dataset, known, refused },
          `a repair job succeeded more than ${LATE_MINUTES} minutes ago, and not all of its dead letters are indexed: what was submitted again stays resubmitted; look for parked messages of its dead letter topic, and retry them`,
        );
    }
    this.lateJobs = new Set(jobs.map(({ id }) => id));
  }

  private async decide(job: RepairJobRow): Promise<void> {
    if (isGivenUp(job)) await this.moveAll(job, { ...OF_SUCCESSOR, to: 'open' });
    else if (isDecided(job)) await this.moveAll(job, { ...OF_SUCCESSOR, to: OUTCOME });
  }

  /** Step by step; the job is looked at again in each of them (RO3). */
  private async moveAll(
    { id, dataset }: Pick<RepairJobRow, 'id' | 'dataset'>,
    move: Omit<DeadLetterMove, 'parameters' | 'limit' | 'after'>,
  ): Promise<void> {
    const moved = new Map<DeadLetterState, number>();
    for (let after: DeadLetterKey | null = null; !this.loop.isStopping;) {
      const place: DeadLetterKey | null = after;
      const step: MovedDeadLetters = await foldInTransaction(this.pool, async (client) => {
        await client.query(FOLD_LOCK);
        const job = await repairJob(client, id);
        if (job === null || (!isGivenUp(job) && !isDecided(job)))
          return { moved: 0, states: new Map(), last: null };
        return moveDeadLetters(client, {
          ...move,
          parameters: [id],
          limit: STEP_DEAD_LETTERS,
          after: place,
        });
      });
      for (const [state, count] of step.states) {
        this.decided.inc({ dataset, state }, count);
        moved.set(state, (moved.get(state) ?? 0) + count);
      }
      if (step.last === null) break;
      after = step.last;
    }
    for (const [state, count] of moved)
      this.logger.info({ job: id, dataset, state, moved: count }, 'decided about dead letters');
  }
}

const OF_SUCCESSOR = {
  from: 'resubmitted',
  where: 'letter.successor_job = $1',
  reason: null,
} as const satisfies Partial<DeadLetterMove> & { from: DeadLetterState };
const OF_JOB = { where: 'letter.job = $1' } as const;

/** Whether its record in the job was refused: that dead letter names it as its predecessor. Looked up for each that is moved. */
const OUTCOME: OneOfTwo = {
  where: `EXISTS (SELECT FROM sluice.dead_letter AS next
    WHERE next.job = letter.successor_job AND next.record = letter.successor_record)`,
  then: 'refused-again',
  otherwise: 'landed',
};

/** RO2 */
function isGivenUp({ state, resumable }: RepairJobRow): boolean {
  return state === 'cancelled' || (state === 'failed' && !resumable);
}

/** RO1 */
function isDecided({ state, refused, known }: RepairJobRow): boolean {
  return state === 'succeeded' && refused !== null && known >= refused;
}

/** RO1 */
function isLate(job: RepairJobRow): boolean {
  return job.state === 'succeeded' && job.endedLongAgo && !isDecided(job);
}

const FACTS = `coalesce(job.finished_at < now() - interval '${LATE_MINUTES} minutes', false) AS "endedLongAgo",
  job.id, job.dataset, job.state, job.resumable, (job.counts->>'refused')::float8 AS refused,
  (SELECT coalesce(sum(dead_letters), 0)::float8 FROM sluice.job_stage WHERE job_stage.job = job.id) AS known`;

async function repairJob(client: pg.PoolClient, id: string): Promise<RepairJobRow | null> {
  const { rows } = await client.query<RepairJobRow>(`SELECT ${FACTS} FROM sluice.job WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** One step through the index for each job, whatever the number of its dead letters. */
async function jobsWithResubmitted(pool: pg.Pool): Promise<RepairJobRow[]> {
  const { rows } = await pool.query<RepairJobRow>(
    `WITH RECURSIVE waiting AS (
       (SELECT successor_job AS id FROM sluice.dead_letter WHERE state = 'resubmitted' ORDER BY successor_job LIMIT 1)
       UNION ALL
       SELECT (SELECT successor_job FROM sluice.dead_letter
                WHERE state = 'resubmitted' AND successor_job > waiting.id ORDER BY successor_job LIMIT 1)
         FROM waiting WHERE waiting.id IS NOT NULL
     )
     SELECT ${FACTS} FROM waiting JOIN sluice.job ON job.id = waiting.id ORDER BY job.id`,
  );
  return rows;
}

async function jobsGivenUpWithOpen(pool: pg.Pool): Promise<Pick<RepairJobRow, 'id' | 'dataset'>[]> {
  const { rows } = await pool.query<Pick<RepairJobRow, 'id' | 'dataset'>>(
    `SELECT job.id, job.dataset FROM sluice.job
      WHERE job.repair IS NOT NULL AND (job.state = 'cancelled' OR job.state = 'failed' AND NOT job.resumable)
        AND EXISTS (SELECT FROM sluice.dead_letter AS letter WHERE letter.job = job.id AND letter.state = 'open')`,
  );
  return rows;
}
