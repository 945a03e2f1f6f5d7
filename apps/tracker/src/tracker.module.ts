import { type DynamicModule, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { BatchServer } from '#common/kafka/transport/batch-server.js';
import { MessageParking } from '#common/kafka/transport/message-parking.js';
import type { ServiceContext } from '#common/lifecycle/run-service.js';
import { ServiceModule } from '#common/lifecycle/service.module.js';
import { PoolMetrics } from '#common/telemetry/pool.metrics.js';
import { KAFKA } from '#common/providers/tokens.js';
import { ContractMetrics } from '#core/registry/contract.metrics.js';
import { DatasetRegistry, loadRegistry } from '#core/registry/registry.js';
import { MAX_MESSAGE_BYTES, STATUS_TOPIC, topicOf } from '#core/message/topics.js';
import { connectDatabase } from '#core/schema/database.provider.js';
import { HistoryPublisher } from './history/history-publisher.js';
import { DatasetGroups } from './fold/dataset-groups.js';
import { FoldConsumer } from './fold/fold.consumer.js';
import { FoldRepository } from './fold/fold.repository.js';
import { DeadLetterPace } from './fold/dead-letter-pace.js';
import { OlderDeadLetters } from './fold/older-dead-letters.js';
import { MetricLabels } from './fold/metric-labels.js';
import { ParkedMessageRepository } from './fold/parked-message.repository.js';
import { StateMetrics } from './fold/state.metrics.js';
import { TrackerMetrics } from './fold/tracker.metrics.js';
import { JobStreams } from './live/job-streams.js';
import { DEFAULT_LIVE_TIMING, LIVE_TIMING } from './live/live-timing.js';
import { LiveController } from './live/live.controller.js';
import { DatasetReader } from './read-api/dataset.reader.js';
import { DatasetsController } from './read-api/datasets.controller.js';
import { DeadLetterReader } from './read-api/dead-letter.reader.js';
import { DeadLettersController } from './read-api/dead-letters.controller.js';
import { JobReader } from './read-api/job.reader.js';
import { JobsController } from './read-api/jobs.controller.js';
import { ParkedDecisionsController } from './read-api/parked-decisions.controller.js';
import { ParkedDecisions } from './read-api/parked-decisions.js';
import { ParkedMessageReader } from './read-api/parked-message.reader.js';
import { ParkedMessagesController } from './read-api/parked-messages.controller.js';
import { Discard } from './repair/discard.js';
import { EditsController } from './repair/edits.controller.js';
import { Edits } from './repair/edits.js';
import { DeadLetterExport } from './repair/export.js';
import { GroupReader } from './repair/group.reader.js';
import { RepairOutcomes } from './repair/repair-outcomes.js';
import { RepairController } from './repair/repair.controller.js';
import { RepairMetrics } from './repair/repair.metrics.js';
import { DeadLetterColumns } from './rows/dead-letter-columns.entity.js';
import { DeadLetterGroupRow } from './rows/dead-letter-group.entity.js';
import { DeadLetterRow } from './rows/dead-letter.entity.js';
import { JobBatch } from './rows/job-batch.entity.js';
import { JobStage } from './rows/job-stage.entity.js';
import { ParkedMessageRow } from './rows/parked-message.entity.js';
import { RepairActionRow } from './rows/repair-action.entity.js';
import { TraceController } from './trace/trace.controller.js';
import { TraceMetrics } from './trace/trace.metrics.js';
import { Tracer } from './trace/tracer.js';
import type { TrackerConfig } from './tracker.config.js';

export const TRACKER_GROUP = 'sluice-tracker';

/** The tables that the tracker keeps. */
export const TRACKER_ENTITIES = [
  JobBatch,
  JobStage,
  DeadLetterRow,
  DeadLetterColumns,
  DeadLetterGroupRow,
  RepairActionRow,
  ParkedMessageRow,
];

/** Everything over HTTP; needs the database, the registries of datasets and metrics, a logger and the timing of live streams. */
export const READ_API = {
  controllers: [
    DatasetsController,
    JobsController,
    LiveController,
    RepairController,
    EditsController,
    DeadLettersController,
    ParkedMessagesController,
  ],
  providers: [
    DatasetReader,
    JobReader,
    DeadLetterReader,
    GroupReader,
    Discard,
    Edits,
    DeadLetterExport,
    MetricLabels,
    RepairMetrics,
    ParkedMessageReader,
    JobStreams,
  ],
};

/** Connections for the folds: the status partition, and dead letters of a few others beside it. */
const FOLD_CONNECTIONS = 4;
/** Connections for readers. */
const READ_CONNECTIONS = 6;

/** Topics that the tracker folds, by kind. */
export function trackerTopics(datasets: readonly string[]): { status: string[]; dead: string[] } {
  return { status: [STATUS_TOPIC], dead: datasets.map((dataset) => topicOf(dataset, 'dead')) };
}

@Module({})
export class TrackerModule implements OnApplicationShutdown {
  constructor(private readonly database: DataSource) {}

  static async for(context: ServiceContext<TrackerConfig>): Promise<DynamicModule> {
    const { config, logger, name, instance, fatal } = context;
    const registry = await loadRegistry(config.extraDatasetPaths());
    return {
      module: TrackerModule,
      imports: [ServiceModule.for({ ...context, poolSize: FOLD_CONNECTIONS })],
      controllers: [FoldConsumer, ...READ_API.controllers, ParkedDecisionsController, TraceController],
      providers: [
        { provide: DatasetRegistry, useValue: registry },
        { provide: LIVE_TIMING, useValue: DEFAULT_LIVE_TIMING },
        {
          provide: DataSource,
          inject: [PoolMetrics],
          useFactory: (pools: PoolMetrics) =>
            connectDatabase(
              {
                url: () => config.databaseUrl,
                applicationName: `sluice ${name} ${instance}`.slice(0, 63),
                maxConnections: READ_CONNECTIONS,
                logger,
                onConnected: (pool) => {
                  pools.watch('control', pool);
                },
              },
              TRACKER_ENTITIES,
            ),
        },
        {
          provide: BatchServer,
          inject: [KAFKA, MessageParking, Registry],
          useFactory: (kafka: Kafka, parking: MessageParking, metrics: Registry) =>
            new BatchServer({
              kafka,
              groupId: TRACKER_GROUP,
              topics: trackerTopics(registry.all().map((dataset) => dataset.name)),
              concurrentPartitions: FOLD_CONNECTIONS,
              // One statement's worth: a dead letter takes several times its bytes for a moment, as headers, objects and
              // hex, and four partitions are folded side by side. 4 MiB and 5,000 dead letters made a tracker of 357 MB,
              // 1 MiB of records at the size limit one of 256 MB.
              maxGroupBytes: 512 * 1024,
              maxGroupMessages: 1_000,
              maxBytesPerPartition: 512 * 1024,
              // A fold is a transaction with a commit to disk: four a second of each partition, instead of one for each event.
              gather: { minBytes: 256 * 1024, maxWaitMs: 250 },
              maxMessageBytes: MAX_MESSAGE_BYTES,
              sessionTimeoutMs: config.sessionTimeoutMs,
              parking,
              registry: metrics,
              logger,
              onFatal: fatal,
            }),
        },
        {
          provide: MessageParking,
          inject: [Registry, ParkedMessageRepository],
          useFactory: (metrics: Registry, parkedMessages: ParkedMessageRepository) =>
            new MessageParking(metrics, logger, (parked) => parkedMessages.keep(parked)),
        },
        FoldRepository,
        DatasetGroups,
        OlderDeadLetters,
        RepairOutcomes,
        HistoryPublisher,
        DeadLetterPace,
        ParkedMessageRepository,
        ParkedDecisions,
        Tracer,
        TraceMetrics,
        TrackerMetrics,
        StateMetrics,
        ContractMetrics,
        ...READ_API.providers,
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.database.destroy();
  }
}
