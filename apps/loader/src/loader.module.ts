import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { loadSettings } from '#common/config/environment.js';
import { messageOf } from '#common/errors/sluice-error.js';
import { BatchServer } from '#common/kafka/batch-server.js';
import { Publisher } from '#common/kafka/publisher.js';
import type { ServiceContext } from '#common/lifecycle/run-service.js';
import { ServiceModule } from '#common/lifecycle/service.module.js';
import { KAFKA, LOGGER, PG_POOL } from '#common/lifecycle/tokens.js';
import { DatasetRegistry, loadRegistry } from '#core/dataset/registry.js';
import { topicOf } from '#core/message/topics.js';
import { KafkaAnnouncer } from './announce/kafka-announcer.js';
import { FinalizeConfig } from './finalize/finalize.config.js';
import { finalizedDatasets } from './finalize/finalizing-job.js';
import { FinalizeSweep } from './finalize/finalize-sweep.js';
import { CleanBatchController } from './load/clean-batch.controller.js';
import { GroupLoader } from './load/group-loader.js';
import type { LoaderConfig } from './loader.config.js';
import { LoaderMetrics } from './loader.metrics.js';

const MIB = 1024 * 1024;

/** Finalization's share of the pool beside its index builders: the main step, lease, sweep, watching who blocks. */
const FINALIZE_CONNECTIONS = 4;

@Module({})
export class LoaderModule implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(@Inject(FinalizeSweep) private readonly sweep: FinalizeSweep) {}

  static for(context: ServiceContext<LoaderConfig>): DynamicModule {
    const { config, instance, fatal } = context;
    const finalize = loadSettings(FinalizeConfig);
    const poolSize = config.concurrentPartitions + finalize.indexConnections + FINALIZE_CONNECTIONS;
    return {
      module: LoaderModule,
      imports: [ServiceModule.for({ ...context, poolSize })],
      controllers: [CleanBatchController],
      providers: [
        { provide: DatasetRegistry, useFactory: () => loadRegistry(config.extraDatasetPaths()) },
        {
          provide: GroupLoader,
          inject: [PG_POOL, LOGGER],
          useFactory: (pool: pg.Pool, logger: Logger) => new GroupLoader(pool, logger),
        },
        {
          provide: LoaderMetrics,
          inject: [Registry],
          useFactory: (registry: Registry) => new LoaderMetrics(registry),
        },
        {
          provide: KafkaAnnouncer,
          inject: [PG_POOL, KAFKA, Publisher],
          useFactory: (pool: pg.Pool, kafka: Kafka, publisher: Publisher) =>
            new KafkaAnnouncer(pool, kafka, publisher),
        },
        {
          provide: FinalizeSweep,
          inject: [PG_POOL, DatasetRegistry, KafkaAnnouncer, LOGGER],
          useFactory: (pool: pg.Pool, registry: DatasetRegistry, announcer: KafkaAnnouncer, logger: Logger) =>
            new FinalizeSweep({
              pool,
              owner: instance,
              datasets: finalizedDatasets(registry.all()),
              announcer,
              config: finalize,
              logger,
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
          provide: BatchServer,
          inject: [KAFKA, DatasetRegistry, LOGGER],
          useFactory: (kafka: Kafka, registry: DatasetRegistry, logger: Logger) =>
            new BatchServer({
              kafka,
              groupId: 'sluice-loader',
              topics: { clean: registry.all().map(({ name }) => topicOf(name, 'clean')) },
              concurrentPartitions: config.concurrentPartitions,
              // A transaction takes up to six batches of the usual size: fewer commits, little to repeat.
              maxGroupBytes: 4 * MIB,
              maxGroupMessages: 64,
              maxBytesPerPartition: 4 * MIB,
              sessionTimeoutMs: config.sessionTimeoutMs,
              logger,
              onFatal: fatal,
            }),
        },
      ],
    };
  }

  onApplicationBootstrap(): void {
    this.sweep.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.sweep.stop();
  }
}

/** As long as a status event's label may be. */
const MAX_STEP_CHARACTERS = 200;

/** A step, and what it waits for; names of other people's sessions may hold anything. */
function stepLabel(step: string, detail: string | undefined): string {
  const words = detail === undefined ? step : `${step}: ${detail}`;
  return words.slice(0, MAX_STEP_CHARACTERS).replace(/\p{C}/gu, ' ');
}
