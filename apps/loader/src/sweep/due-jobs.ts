import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { declareWait } from '#core/job/job-wait.js';
import type { Announcer } from '../announce/announcer.js';
import type { FinalizeConfig } from '../finalize/finalize.config.js';
import { Finalizer } from '../finalize/finalizer.js';
import type { FinalizeStep, FinalizedDataset, FinalizingJob } from '../finalize/finalizing-job.js';
import { FinalizeRepository, LARGE_JOB_BYTES } from './finalize.repository.js';
import { HeldJob } from './held-job.js';

export interface DueJobsParts {
  readonly pool: Pool;
  /** Who we are, for the job row. */
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
  /** A job was decided, lost or released: its place is free. Must not throw. */
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
 * - Z4: several finalizations run side by side, `SLUICE_FINALIZE_AT_ONCE` at most and one of each dataset. A large job
 *   leaves the last place free, so a small one never waits behind large ones. A job that waits for a place says so.
 *
 * Z1 and Z2 are those of one job: {@link HeldJob}.
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

  /** Z4. Takes as many jobs as there are places; resolves when they have begun. */
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
    if (this.held.size > 0) await this.declareWaits(this.held.size);
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
    const { config, onFault, onFinalized, firstPauseMs = FIRST_PAUSE_MS, stopping, ...others } = this.parts;
    const parts = {
      ...others,
      repository: this.repository,
      finalizer: this.finalizer,
      leaseSeconds: config.finalizeLeaseSeconds,
      firstPauseMs,
      onFault: (name: string) => onFault?.(name),
    };
    const work = new HeldJob(parts, job, dataset, stopping).finalize().finally(() => {
      this.held.delete(job.id);
      onFinalized();
    });
    this.held.set(job.id, { job, work });
  }

  /** Jobs that are due and that neither we nor another loader has taken: all places are taken. */
  private async declareWaits(taken: number): Promise<void> {
    const due = await this.repository.findDue(this.freeDatasets());
    const message = `the loader finalizes ${taken} other jobs: ${[...this.held.keys()].join(', ')}`;
    for (const id of due) {
      await declareWait(this.parts.pool, id, { stage: 'finalize', code: 'SLOT_TAKEN', message });
    }
  }
}
