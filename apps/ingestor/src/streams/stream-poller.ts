import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { Health } from '#common/http/health.controller.js';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { KAFKA, LOGGER } from '#common/providers/tokens.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { Stream } from '#core/stream/stream.entity.js';
import { StreamRepository } from '#core/stream/stream.repository.js';
import { IngestorConfig } from '../ingestor.config.js';
import { INSTANCE } from '../jobs/job-poller.js';
import { JobRunner } from '../jobs/job-runner.js';
import { StreamRun } from './stream-run.js';
import { IngestorMetrics } from '../ingestor.metrics.js';
import { StreamMetrics } from './stream.metrics.js';

const POLL_INTERVAL_MS = 1_000;
/** A turn is some statements: silence for so long means a wedged loop. */
const MAX_SILENCE_MS = 120_000;

/** Looks for running streams that no ingestor holds, and runs all that it gets. */
@Injectable()
export class StreamPoller implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly runs = new Map<string, { readonly run: StreamRun; readonly ended: Promise<void> }>();
  /** Jobs that outlive the run of their stream. */
  private readonly jobs = new Set<Promise<void>>();
  private readonly loop: BackgroundLoop;
  private readonly datasets: ReadonlyMap<string, Dataset>;

  constructor(
    private readonly streams: StreamRepository,
    private readonly runner: JobRunner,
    private readonly metrics: StreamMetrics,
    private readonly ingestor: IngestorMetrics,
    private readonly config: IngestorConfig,
    private readonly health: Health,
    registry: DatasetRegistry,
    @Inject(KAFKA) private readonly kafka: Kafka,
    @Inject(INSTANCE) private readonly instance: string,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.datasets = new Map(
      registry
        .all()
        .filter(({ inbox }) => inbox !== undefined)
        .map((dataset) => [dataset.name, dataset]),
    );
    this.loop = new BackgroundLoop({
      duty: 'look for streams',
      turn: () => this.turn(),
      pauseMs: () => POLL_INTERVAL_MS,
      maxSilenceMs: MAX_SILENCE_MS,
      logger,
    });
  }

  onApplicationBootstrap(): void {
    // Without an inbox there is nothing to look for.
    if (this.datasets.size === 0) return;
    this.health.add(this.loop);
    this.loop.start();
  }

  /** Streams are released and their jobs too; another ingestor, or this one after its restart, continues them. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
    await Promise.all([...this.runs.values()].map(({ ended }) => ended));
    await Promise.all(this.jobs);
  }

  /** An operator has changed the stream: looks now instead of at the next interval. */
  wake(dataset: string): void {
    this.loop.wake();
    void this.runs.get(dataset)?.run.look();
  }

  private async turn(): Promise<void> {
    const versions = Object.fromEntries(
      [...this.datasets].map(([name, { contractVersion }]) => [name, contractVersion]),
    );
    for (const stream of await this.streams.claim(this.instance, versions)) this.begin(stream);
    for (const dataset of await this.streams.ofNewerVersions(versions)) {
      const version = versions[dataset] ?? 0;
      const message = `The stream of ${dataset} was run by a newer version of the dataset than ${version}, which an ingestor has that looked for it.`;
      await this.streams.declareWait(dataset, { code: 'CONTRACT_NEWER', message });
    }
    this.metrics.states(await this.streams.all());
  }

  private begin(stream: Stream): void {
    const dataset = this.datasets.get(stream.dataset);
    if (dataset === undefined) return;
    const parts = {
      ...{ streams: this.streams, runner: this.runner, kafka: this.kafka, metrics: this.metrics },
      ...{ logger: this.logger, instance: this.instance, leaseSeconds: this.config.leaseSeconds },
      onLeaseLost: () => {
        this.ingestor.leases.lost('stream');
      },
      onJob: (job: Promise<void>) => {
        this.jobs.add(job);
        void job.finally(() => this.jobs.delete(job));
      },
    };
    const run = new StreamRun(stream, dataset, parts, this.loop.signal);
    const entry = { run, ended: run.run() };
    this.runs.set(stream.dataset, entry);
    void entry.ended.finally(() => {
      if (this.runs.get(stream.dataset) === entry) this.runs.delete(stream.dataset);
    });
  }
}
