import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import { Registry } from 'prom-client';
import type pg from 'pg';
import type { Logger } from 'pino';
import { messageOf } from '#common/errors/sluice-error.js';
import { BatchServer } from '#common/kafka/transport/batch-server.js';
import { MessageParking } from '#common/kafka/transport/message-parking.js';
import { parkingProvider } from '#common/lifecycle/parking.provider.js';
import type { ServiceContext } from '#common/lifecycle/run-service.js';
import { ServiceModule } from '#common/lifecycle/service.module.js';
import { KAFKA, LOGGER, PG_POOL, TRACING } from '#common/providers/tokens.js';
import type { Tracing } from '#common/telemetry/tracing/traced-work.js';
import { createdAtMs } from '#core/job/job-age.js';
import { ContractMetrics } from '#core/registry/contract.metrics.js';
import { DatasetRegistry, loadRegistry } from '#core/registry/registry.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import { CONSUMER_GROUPS, MAX_MESSAGE_BYTES, topicOf } from '#core/message/topics.js';
import { checkDatabase } from '#core/schema/database.provider.js';
import { noteServiceRole } from '#core/staging/checks/service-role.js';
import { KafkaAnnouncer } from './announce/kafka-announcer.js';
import { FinalizeConfig } from './finalize/finalize.config.js';
import { finalizedDatasets } from './finalize/finalizing-job.js';
import { MergeAtOnce } from './finalize/merge-at-once.js';
import { CleanBatchController } from './load/clean-batch.controller.js';
import { GroupLoader, LOAD_GROUP } from './load/group-loader.js';
import { LoaderConfig } from './loader.config.js';
import { LoaderMetrics } from './loader.metrics.js';
import { Sweep } from './sweep/sweep.js';
import { JobWatch, watchedDatasets } from './watch/job-watch.js';
import { WatchConfig } from './watch/watch.config.js';

/** Of each finalization, beside those on which indexes are built: its main step, and watching who blocks it. */
const CONNECTIONS_A_JOB = 2;
/** Beside loading and finalizing: leases, sweep, announcing, job watch. */
const OTHER_CONNECTIONS = 4;

/** Nest starts nothing before every provider is there. */
const CHECKED_DATABASE = Symbol('checked database');

@Module({})
export class LoaderModule implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(
    private readonly sweep: Sweep,
    private readonly watch: JobWatch,
  ) {}

  static for(context: ServiceContext<LoaderConfig>): DynamicModule {
    const { config, settings, instance, fatal } = context;
    const finalize = settings.of(FinalizeConfig);
    const poolSize =
      config.concurrentPartitions +
      finalize.finalizeAtOnce * (finalize.indexConnections + CONNECTIONS_A_JOB) +
      OTHER_CONNECTIONS;
    return {
      module: LoaderModule,
      imports: [ServiceModule.for({ ...context, poolSize })],
      controllers: [CleanBatchController],
      providers: [
        { provide: LoaderConfig, useValue: config },
        { provide: DatasetRegistry, useFactory: () => loadRegistry(config.extraDatasetPaths()) },
        {
          provide: CHECKED_DATABASE,
          inject: [PG_POOL, LOGGER],
          useFactory: (pool: pg.Pool, logger: Logger) =>
            checkDatabase(pool, logger, (client) => noteServiceRole(client, 'loader')),
        },
        {
          provide: GroupLoader,
          inject: [PG_POOL, DatasetRegistry, LoaderMetrics, LOGGER],
          useFactory: (pool: pg.Pool, registry: DatasetRegistry, metrics: LoaderMetrics, logger: Logger) =>
            new GroupLoader({
              pool,
              logger,
              atOnce: new MergeAtOnce({
                datasets: finalizedDatasets(registry.all()),
                owner: instance,
                leaseSeconds: finalize.finalizeLeaseSeconds,
                logger,
              }),
              sessionTimeoutMs: config.sessionTimeoutMs,
              onFault: (dataset) => {
                metrics.faulted(dataset);
              },
              onCopied: ({ dataset, work }, seconds) => {
                metrics.copied(dataset, seconds);
                work?.took('copy', seconds);
              },
              onCommitted: ({ dataset, work }, seconds) => {
                metrics.committed(dataset, seconds);
                work?.took('commit', seconds);
              },
              onMergedAtOnce: ({ work }, seconds) => {
                metrics.stepEnded('merge', seconds);
                work?.took('finalize merge', seconds);
              },
            }),
        },
        parkingProvider((message) => encodeStatusEvent({ type: 'parked', ...message })),
        LoaderMetrics,
        ContractMetrics,
        KafkaAnnouncer,
        {
          provide: Sweep,
          inject: [PG_POOL, DatasetRegistry, KafkaAnnouncer, LoaderMetrics, LOGGER, TRACING],
          useFactory: (
            pool: pg.Pool,
            registry: DatasetRegistry,
            announcer: KafkaAnnouncer,
            metrics: LoaderMetrics,
            logger: Logger,
            tracing: Tracing | null,
          ) =>
            new Sweep({
              pool,
              owner: instance,
              datasets: finalizedDatasets(registry.all()),
              announcer,
              config: finalize,
              logger,
              onFault: (dataset) => {
                metrics.faulted(dataset);
              },
              onUnbalanced: (dataset) => {
                metrics.unbalanced(dataset);
              },
              onStepEnd: ({ id, dataset }, step, seconds) => {
                metrics.stepEnded(step, seconds);
                tracing?.took(`finalize ${step}`, { job: id, dataset }, seconds);
              },
              onLeaseLost: () => {
                metrics.leases.lost('finalization');
              },
              onAnnounced: (job) => {
                metrics.ended(job);
                const { id, dataset, state } = job;
                tracing?.ended({ job: id, dataset }, state, createdAtMs(id));
              },
              onMerged: (dataset, counts) => {
                metrics.mergedRecords(dataset, counts);
              },
              onAnnounceFailure: () => {
                metrics.announceFailed();
              },
              onStep: (job, step, detail) => {
                announcer
                  .announceJob({ ...job, state: 'finalizing' }, stepLabel(step, detail))
                  .catch((error: unknown) => {
                    logger.warn({ job: job.id, step }, `a step could not be announced: ${messageOf(error)}`);
                  });
              },
            }),
        },
        {
          provide: JobWatch,
          inject: [PG_POOL, KAFKA, DatasetRegistry, LOGGER],
          useFactory: (pool: pg.Pool, kafka: Kafka, registry: DatasetRegistry, logger: Logger) =>
            new JobWatch({
              pool,
              kafka,
              datasets: watchedDatasets(registry.all()),
              config: settings.of(WatchConfig),
              logger,
            }),
        },
        {
          provide: BatchServer,
          inject: [KAFKA, DatasetRegistry, LOGGER, MessageParking, Registry],
          useFactory: (
            kafka: Kafka,
            registry: DatasetRegistry,
            logger: Logger,
            parking: MessageParking,
            metrics: Registry,
          ) =>
            new BatchServer({
              kafka,
              groupId: CONSUMER_GROUPS.load,
              topics: { clean: registry.all().map(({ name }) => topicOf(name, 'clean')) },
              concurrentPartitions: config.concurrentPartitions,
              ...LOAD_GROUP,
              maxBytesPerPartition: LOAD_GROUP.maxGroupBytes,
              maxMessageBytes: MAX_MESSAGE_BYTES,
              sessionTimeoutMs: config.sessionTimeoutMs,
              parking,
              registry: metrics,
              logger,
              onFatal: fatal,
            }),
        },
      ],
    };
  }

  onApplicationBootstrap(): void {
    this.sweep.start();
    this.watch.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([this.sweep.stop(), this.watch.stop()]);
  }
}

/** As long as a status event's label may be. */
const MAX_STEP_CHARACTERS = 200;

/** A step, and what it waits for; names of other people's sessions may hold anything. */
function stepLabel(step: string, detail: string | undefined): string {
  const words = detail === undefined ? step : `${step}: ${detail}`;
  return words.slice(0, MAX_STEP_CHARACTERS).replace(/\p{C}/gu, ' ');
}
