import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { LOGGER } from '#common/providers/tokens.js';
import { StreamRepository } from '#core/stream/stream.repository.js';
import { IngestorConfig } from '../ingestor.config.js';

/** A stream's newest jobs stay however old they are: the breaker judges by the last 500, and a reader sees what went last. */
export const KEPT_JOBS = 1_000;
/** One transaction, during which nothing is folded: tens of milliseconds. */
const STEP_JOBS = 250;
const LOOK_EVERY_MS = 60_000;

/** Deletes rows of finished jobs of streams in small steps (`prune-stream-jobs.ts`); any number of ingestors may. */
@Injectable()
export class StreamPruner implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop: BackgroundLoop;
  private pauseMs = 0;

  constructor(
    private readonly streams: StreamRepository,
    private readonly config: IngestorConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.loop = new BackgroundLoop({
      duty: 'prune jobs of streams',
      turn: () => this.turn(),
      pauseMs: () => this.pauseMs,
      logger,
    });
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop();
  }

  private async turn(): Promise<void> {
    this.pauseMs = LOOK_EVERY_MS;
    for (const { dataset } of await this.streams.all()) {
      const beganAt = performance.now();
      const pruned = await this.streams.prune(dataset, {
        keepHours: this.config.streamJobHours,
        keepJobs: KEPT_JOBS,
        limit: STEP_JOBS,
      });
      if (pruned > 0) this.logger.debug({ dataset, pruned }, 'jobs of the stream pruned');
      // As long as it took: what is loaded and folded now comes first.
      if (pruned === STEP_JOBS) this.pauseMs = Math.min(this.pauseMs, performance.now() - beganAt);
    }
  }
}
