import { type DynamicModule, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { BatchServer } from '#common/kafka/batch-server.js';
import { MessageParking } from '#common/kafka/message-parking.js';
import type { ServiceContext } from '#common/lifecycle/run-service.js';
import { ServiceModule } from '#common/lifecycle/service.module.js';
import { KAFKA } from '#common/lifecycle/tokens.js';
import { DatasetRegistry, loadRegistry } from '#core/dataset/registry.js';
import { MAX_MESSAGE_BYTES, STATUS_TOPIC, topicOf } from '#core/message/topics.js';
import { connectDatabase } from '#core/schema/database.provider.js';
import { DeadLetterRow } from './fold/dead-letter.entity.js';
import { FoldConsumer } from './fold/fold.consumer.js';
import { FoldRepository } from './fold/fold.repository.js';
import { JobBatch } from './fold/job-batch.entity.js';
import { JobStage } from './fold/job-stage.entity.js';
import { LetterColumns } from './fold/letter-columns.entity.js';
import { LetterPace } from './fold/letter-pace.js';
import { MetricLabels } from './fold/metric-labels.js';
import { ParkedMessageRow } from './fold/parked-message.entity.js';
import { ParkedMessageRepository } from './fold/parked-message.repository.js';
import { TrackerMetrics } from './fold/tracker.metrics.js';
import { JobWatcher } from './live/job-watcher.js';
import { DEFAULT_LIVE_TIMING, LIVE_TIMING } from './live/live-timing.js';
import { LiveController } from './live/live.controller.js';
import { DatasetReader } from './read-api/dataset.reader.js';
import { DatasetsController } from './read-api/datasets.controller.js';
import { DeadLetterReader } from './read-api/dead-letter.reader.js';
import { DeadLettersController } from './read-api/dead-letters.controller.js';
import { JobReader } from './read-api/job.reader.js';
import { JobsController } from './read-api/jobs.controller.js';
import { ParkedDecisions } from './read-api/parked-decisions.js';
import { ParkedDecisionsController } from './read-api/parked-decisions.controller.js';
import { ParkedMessageReader } from './read-api/parked-message.reader.js';
import { ParkedMessagesController } from './read-api/parked-messages.controller.js';
import type { TrackerConfig } from './tracker.config.js';

export const TRACKER_GROUP = 'sluice-tracker';

/** The tables that the tracker keeps. */
export const TRACKER_ENTITIES = [JobBatch, JobStage, DeadLetterRow, LetterColumns, ParkedMessageRow];

/** Everything over HTTP; needs the database, the registry of datasets, a logger and the timing of live streams. */
export const READ_API = {
  controllers: [
    DatasetsController,
    JobsController,
    LiveController,
    DeadLettersController,
    ParkedMessagesController,
  ],
  providers: [DatasetReader, JobReader, DeadLetterReader, ParkedMessageReader, JobWatcher],
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
      controllers: [FoldConsumer, ...READ_API.controllers, ParkedDecisionsController],
      providers: [
        { provide: DatasetRegistry, useValue: registry },
        { provide: MetricLabels, useFactory: () => new MetricLabels(registry.all()) },
        { provide: LIVE_TIMING, useValue: DEFAULT_LIVE_TIMING },
        {
          provide: DataSource,
          useFactory: () =>
            connectDatabase(
              {
                url: config.databaseUrl,
                applicationName: `sluice ${name} ${instance}`.slice(0, 63),
                maxConnections: READ_CONNECTIONS,
                logger,
              },
              TRACKER_ENTITIES,
            ),
        },
        {
          provide: BatchServer,
          inject: [KAFKA, MessageParking],
          useFactory: (kafka: Kafka, parking: MessageParking) =>
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
              // A fold is a transaction with a commit to disk: four a second of each partition, not one an event.
              gather: { minBytes: 256 * 1024, maxWaitMs: 250 },
              maxMessageBytes: MAX_MESSAGE_BYTES,
              sessionTimeoutMs: config.sessionTimeoutMs,
              parking,
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
        LetterPace,
        ParkedMessageRepository,
        ParkedDecisions,
        TrackerMetrics,
        ...READ_API.providers,
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.database.destroy();
  }
}
