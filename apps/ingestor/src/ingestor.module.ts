import { type DynamicModule, Module } from '@nestjs/common';
import { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { ServiceModule } from '#common/lifecycle/service.module.js';
import type { ServiceContext } from '#common/lifecycle/run-service.js';
import { DatasetRegistry, loadRegistry } from '#core/dataset/registry.js';
import { JobRepository } from '#core/job/job.repository.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { connectDatabase } from '#core/schema/database.provider.js';
import { IngestorConfig } from './ingestor.config.js';
import { IngestorMetrics } from './ingestor.metrics.js';
import { JobCommands } from './jobs/job-commands.js';
import { INSTANCE, JobPoller } from './jobs/job-poller.js';
import { JobRunner } from './jobs/job-runner.js';
import { JobStarter } from './jobs/job-starter.js';
import { JobsController } from './jobs/jobs.controller.js';
import { LocalToken } from './jobs/local-token.js';
import { SourceOpener } from './sources/source-opener.js';

@Module({})
export class IngestorModule {
  static for(context: ServiceContext<IngestorConfig>): DynamicModule {
    const { config, settings, logger, name, instance } = context;
    return {
      module: IngestorModule,
      imports: [ServiceModule.for({ ...context, poolSize: 0 })],
      controllers: [JobsController],
      providers: [
        { provide: IngestorConfig, useValue: config },
        { provide: INSTANCE, useValue: instance },
        { provide: LocalToken, useFactory: () => LocalToken.fromFile(config.localTokenFile) },
        { provide: DatasetRegistry, useFactory: () => loadRegistry(config.extraDatasetPaths()) },
        {
          provide: DataSource,
          useFactory: () =>
            connectDatabase({
              url: config.databaseUrl,
              applicationName: `sluice ${name} ${instance}`,
              logger,
            }),
        },
        {
          provide: JobRepository,
          inject: [DataSource],
          useFactory: (database: DataSource) => new JobRepository(database, config.leaseSeconds),
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
        { provide: SourceOpener, useFactory: () => new SourceOpener(settings) },
        {
          provide: IngestorMetrics,
          inject: [Registry],
          useFactory: (registry: Registry) => new IngestorMetrics(registry),
        },
        JobStarter,
        JobCommands,
        JobRunner,
        JobPoller,
      ],
    };
  }
}
