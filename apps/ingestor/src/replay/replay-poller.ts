import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { Health } from '#common/http/health.controller.js';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { LOGGER } from '#common/providers/tokens.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { type ReplayHost, ReplayRepository } from '#core/replay/replay.repository.js';
import { JobCommands } from '../jobs/job-commands.js';
import { JobPoller } from '../jobs/job-poller.js';
import { SOURCE_KINDS } from '../sources/source-kinds.js';
import { ReplayMetrics } from './replay.metrics.js';

const POLL_INTERVAL_MS = 1_000;
/** While a replay is under way: its jobs may take less than a tenth of a second. */
const BUSY_INTERVAL_MS = 100;
const MAX_SILENCE_MS = 120_000;

/** What an operation of a job throws when the job has ended in the meantime. */
const ENDED: readonly string[] = ['JOB_TRANSITION_REFUSED', 'JOB_UNKNOWN'];
/** What keeps a job of a replay from beginning, and passes, or is another ingestor's to do. */
const WAITS: readonly string[] = ['JOB_ACTIVE', 'DATASET_UNKNOWN'];

/** Takes the steps of the replays that are under way: every ingestor may take each (`ReplayRepository`, RP2). */
@Injectable()
export class ReplayPoller implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop: BackgroundLoop;
  private readonly host: ReplayHost;
  private isBusy = false;

  constructor(
    private readonly replays: ReplayRepository,
    private readonly commands: JobCommands,
    private readonly jobs: JobPoller,
    private readonly metrics: ReplayMetrics,
    private readonly health: Health,
    registry: DatasetRegistry,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.host = {
      describe: (address) => SOURCE_KINDS.describe(address, { isTrusted: true }),
      versionOf: (dataset) => registry.all().find(({ name }) => name === dataset)?.contractVersion ?? null,
    };
    this.loop = new BackgroundLoop({
      duty: 'look for replays',
      turn: () => this.look(),
      pauseMs: () => (this.isBusy ? BUSY_INTERVAL_MS : POLL_INTERVAL_MS),
      maxSilenceMs: MAX_SILENCE_MS,
      logger,
    });
  }

  /** Aborts when the ingestor ends. */
  get signal(): AbortSignal {
    return this.loop.signal;
  }

  onApplicationBootstrap(): void {
    this.health.add(this.loop);
    this.loop.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
  }

  /** A replay was made or changed: looks now instead of at the next interval. */
  wake(): void {
    this.loop.wake();
  }

  /** Takes the next steps of every replay, as far as they can be taken now. */
  async look(): Promise<void> {
    const open = await this.replays.open();
    this.isBusy = open.length > 0;
    this.metrics.open(open.length);
    for (const { id, state } of open) {
      // One that was cancelled by an ingestor that has ended since.
      if (state === 'cancelled') await this.cancelJobs(await this.replays.activeJobs(id));
      await this.takeSteps(id);
    }
  }

  /** @returns when nothing more is published or loaded for them */
  async cancelJobs(jobs: readonly string[]): Promise<void> {
    for (const job of jobs) {
      try {
        await this.commands.cancel(job);
      } catch (error) {
        if (!(error instanceof SluiceError) || !ENDED.includes(error.code)) throw error;
      }
    }
  }

  private async takeSteps(id: string): Promise<void> {
    try {
      for (;;) {
        const taken = await this.replays.step(id, this.host);
        if (taken === 'began') {
          this.metrics.began();
          this.jobs.wake();
          continue;
        }
        if (taken === 'ended') this.logger.info({ replay: id }, 'the replay has ended');
        return;
      }
    } catch (error) {
      if (!(error instanceof SluiceError) || !WAITS.includes(error.code)) throw error;
      await this.replays.declareWait(id, error);
    }
  }
}
