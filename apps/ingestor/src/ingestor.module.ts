import { type DynamicModule, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { LocalToken } from '#common/access/local-token.js';
import { Settings } from '#common/config/environment.js';
import { ServiceModule } from '#common/lifecycle/service.module.js';
import type { ServiceContext } from '#common/lifecycle/run-service.js';
import { PoolMetrics } from '#common/telemetry/pool.metrics.js';
import { ContractMetrics } from '#core/registry/contract.metrics.js';
import { DatasetRegistry, loadRegistry } from '#core/registry/registry.js';
import { JobRepository } from '#core/job/job.repository.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { connectDatabase } from '#core/schema/database.provider.js';
import { ReplayReader } from '#core/replay/replay.reader.js';
import { ReplayRepository } from '#core/replay/replay.repository.js';
import { StreamRepository } from '#core/stream/stream.repository.js';
import { IngestorConfig } from './ingestor.config.js';
import { IngestorMetrics } from './ingestor.metrics.js';
import { JobCommands } from './jobs/job-commands.js';
import { INSTANCE, JobPoller } from './jobs/job-poller.js';
import { JobRunner } from './jobs/job-runner.js';
import { JobStarter } from './jobs/job-starter.js';
import { JobsController } from './jobs/jobs.controller.js';
import { RepairMetrics } from './repair/repair.metrics.js';
import { ResubmissionsController } from './repair/resubmissions.controller.js';
import { Resubmissions } from './repair/resubmissions.js';
import { ReplayCommands } from './replay/replay-commands.js';
import { ReplayMetrics } from './replay/replay.metrics.js';
import { ReplayPlanner } from './replay/replay-planner.js';
import { ReplayPoller } from './replay/replay-poller.js';
import { ReplaysController } from './replay/replays.controller.js';
import { SourceOpener } from './sources/source-opener.js';
import { StreamCommands } from './streams/stream-commands.js';
import { StreamMetrics } from './streams/stream.metrics.js';
import { StreamPruner } from './streams/stream-pruner.js';
import { StreamPoller } from './streams/stream-poller.js';
import { StreamStatus } from './streams/stream-status.js';
import { StreamsController } from './streams/streams.controller.js';

@Module({})
export class IngestorModule {
  static for(context: ServiceContext<IngestorConfig>): DynamicModule {
    const { config, settings, logger, name, instance } = context;
    return {
      module: IngestorModule,
      imports: [ServiceModule.for({ ...context, poolSize: 0 })],
      controllers: [JobsController, StreamsController, ResubmissionsController, ReplaysController],
      providers: [
        { provide: IngestorConfig, useValue: config },
        { provide: INSTANCE, useValue: instance },
        { provide: LocalToken, useFactory: () => LocalToken.fromFile(config.localTokenFile) },
        { provide: DatasetRegistry, useFactory: () => loadRegistry(config.extraDatasetPaths()) },
        {
          provide: DataSource,
          inject: [PoolMetrics],
          useFactory: (pools: PoolMetrics) =>
            connectDatabase({
              url: () => config.databaseUrl,
              applicationName: `sluice ${name} ${instance}`,
              logger,
              onConnected: (pool) => {
                pools.watch('control', pool);
              },
            }),
        },
        {
          provide: JobRepository,
          inject: [DataSource],
          useFactory: (database: DataSource) => new JobRepository(database, config.leaseSeconds),
        },
        {
          provide: StreamRepository,
          inject: [DataSource],
          useFactory: (database: DataSource) => new StreamRepository(database, config.leaseSeconds),
        },
        {
          provide: ReplayRepository,
          inject: [DataSource],
          useFactory: (database: DataSource) => new ReplayRepository(database),
        },
        {
          provide: ReplayReader,
          inject: [DataSource],
          useFactory: (database: DataSource) => new ReplayReader(database),
        },
        {
          provide: OperatorRepository,
          inject: [DataSource, DatasetRegistry],
          useFactory: (database: DataSource, registry: DatasetRegistry) =>
            new OperatorRepository(
              database,
              (name) => registry.all().find((dataset) => dataset.name === name)?.contractVersion ?? null,
            ),
        },
        { provide: Settings, useValue: settings },
        SourceOpener,
        IngestorMetrics,
        ContractMetrics,
        JobStarter,
        JobCommands,
        JobRunner,
        JobPoller,
        RepairMetrics,
        Resubmissions,
        StreamMetrics,
        StreamPoller,
        StreamPruner,
        StreamStatus,
        StreamCommands,
        ReplayPlanner,
        ReplayMetrics,
        ReplayPoller,
        ReplayCommands,
      ],
    };
  }
}
