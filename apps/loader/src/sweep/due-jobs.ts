import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { JobCounts } from '#api/job-facts.js';
import type { WaitCode } from '#api/job-words.js';
import type { JobInQueue } from '#core/job/finalize-claim.js';
import { declareWait } from '#core/job/job-wait.js';
import type { Announcer } from '../announce/announcer.js';
import type { FinalizeConfig } from '../finalize/finalize.config.js';
import { Finalizer } from '../finalize/finalizer.js';
import type { FinalizeStep, FinalizedDataset, FinalizingJob } from '../finalize/finalizing-job.js';
import { FinalizeRepository, LARGE_JOB_BYTES } from './finalize.repository.js';
import { HeldJob } from './held-job.js';

export interface DueJobsParts {
  readonly pool: Pool;
  /** The name of this process in the job row. */
  readonly owner: string;
  /** By name: every dataset that this process may finalize. */
  readonly datasets: ReadonlyMap<string, FinalizedDataset>;
  readonly announcer: Announcer;
  readonly config: FinalizeConfig;
  readonly logger: Logger;
  /** When it aborts, no job is taken and those that are held are released. */
  readonly stopping: AbortSignal;
  /** A step has begun, or says what it waits for. Must not throw. */
  readonly onStep: (job: FinalizingJob, step: FinalizeStep, detail: string | undefined) => void;
  /** A job was paused for a fault. Must not throw. */
  readonly onFault?: (dataset: string) => void;
  /** A job has failed because its sums do not add up. Must not throw. */
  readonly onUnbalanced?: (dataset: string) => void;
  /** A step is over, or has failed. Must not throw. */
  readonly onStepEnd?: (job: FinalizingJob, step: FinalizeStep, seconds: number) => void;
  /** Another loader has taken a job that this one finalized. Must not throw. */
  readonly onLeaseLost?: () => void;
  /** A merge is visible. Must not throw. */
  readonly onMerged?: (dataset: string, counts: JobCounts) => void;
  /** A job was decided, lost or released: its slot is free. Must not throw. */
  readonly onFinalized: () => void;
  /** Before a failed step is retried; twice as long before each further time. */
  readonly firstPauseMs?: number;
}

interface Held {
  readonly job: FinalizingJob;
  readonly work: Promise<void>;
}

const FIRST_PAUSE_MS = 500;

/**
 * Takes jobs that are due and finalizes them.
 *
 * - DJ1: several finalizations run side by side, `SLUICE_FINALIZE_AT_ONCE` at most and one of each dataset. A large job
 *   leaves the last slot free, so a small one never waits behind large ones of other datasets.
 * - DJ2: a complete job that waits says for what: for a job that comes before it (LN5), for another one of its dataset
 *   (LN4), or for a slot.
 *
 * HJ1 and HJ2 are those of one job: {@link HeldJob}.
 */
export class DueJobs {
  private readonly repository: FinalizeRepository;
  private readonly finalizer: Finalizer;
  private readonly held = new Map<string, Held>();

  constructor(private readonly parts: DueJobsParts) {
    const { pool, owner, config } = parts;
    this.repository = new FinalizeRepository(pool, owner, config.finalizeLeaseSeconds);
    this.finalizer = new Finalizer(pool, config);
  }

  /** DJ1. Takes as many jobs as there are free slots; resolves when they have begun. */
  async take(): Promise<void> {
    const places = this.parts.config.finalizeAtOnce;
    while (this.held.size < places && !this.parts.stopping.aborted) {
      const isLastPlace = places > 1 && this.held.size === places - 1;
      const job = await this.repository.claimNext(
        this.freeDatasets(),
        isLastPlace ? LARGE_JOB_BYTES : undefined,
      );
      const dataset = job && this.parts.datasets.get(job.dataset);
      if (!job || !dataset) break;
      this.hold(job, dataset);
    }
    await this.declareWaits();
  }

  /** Resolves when no job is held. */
  async released(): Promise<void> {
    await Promise.all([...this.held.values()].map(({ work }) => work));
  }

  private freeDatasets(): string[] {
    const taken = new Set([...this.held.values()].map(({ job }) => job.dataset));
    return [...this.parts.datasets.keys()].filter((name) => !taken.has(name));
  }

  private hold(job: FinalizingJob, dataset: FinalizedDataset): void {
    const {
      config,
      onFault,
      onUnbalanced,
      onStepEnd,
      onLeaseLost,
      onMerged,
      onFinalized,
      firstPauseMs = FIRST_PAUSE_MS,
      stopping,
      ...others
    } = this.parts;
    const parts = {
      ...others,
      repository: this.repository,
      finalizer: this.finalizer,
      leaseSeconds: config.finalizeLeaseSeconds,
      firstPauseMs,
      onFault: (name: string) => onFault?.(name),
      onUnbalanced: (name: string) => onUnbalanced?.(name),
      onStepEnd: (each: FinalizingJob, step: FinalizeStep, seconds: number) =>
        onStepEnd?.(each, step, seconds),
      onLeaseLost: () => onLeaseLost?.(),
      onMerged: (name: string, counts: JobCounts) => onMerged?.(name, counts),
    };
    const work = new HeldJob(parts, job, dataset, stopping).finalize().finally(() => {
      this.held.delete(job.id);
      onFinalized();
    });
    this.held.set(job.id, { job, work });
  }

  /** Of complete jobs that neither we nor another loader has taken. */
  private async declareWaits(): Promise<void> {
    for (const job of await this.repository.inQueue([...this.parts.datasets.keys()])) {
      const wait = waitOf(job, [...this.held.keys()]);
      if (wait !== null) await declareWait(this.parts.pool, job.id, { stage: 'finalize', ...wait });
    }
  }
}

/** @param held by us @returns null for a job that the next look takes */
function waitOf(
  { predecessor, finalizedNow }: JobInQueue,
  held: readonly string[],
): { readonly code: WaitCode; readonly message: string } | null {
  if (predecessor !== null) {
    const { id, state } = predecessor;
    const comesAfter = `comes after job ${id}`;
    if (state === 'failed')
      return {
        code: 'PREDECESSOR_FAILED',
        message: `${comesAfter}, which has failed: \`sluice resume ${id}\` takes it up again, \`sluice discard ${id}\` gives it up`,
      };
    const how = state === 'paused' ? `paused: \`sluice continue ${id}\` or \`sluice cancel ${id}\`` : state;
    return { code: 'PREDECESSOR_ACTIVE', message: `${comesAfter}, which is ${how}` };
  }
  if (finalizedNow !== null)
    return { code: 'DATASET_BUSY', message: `job ${finalizedNow} of the dataset is finalized first` };
  if (held.length === 0) return null;
  const message = `the loader finalizes ${held.length} other jobs: ${held.join(', ')}`;
  return { code: 'SLOT_TAKEN', message };
}
