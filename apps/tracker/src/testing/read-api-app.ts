import { type INestApplication, Module } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import { type Logger, pino } from 'pino';
import { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { AuditLog } from '#common/access/audit-log.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { localAccess } from '#common/http/local-access.js';
import { createHttpApp } from '#common/http/http-app.js';
import { serveOpenApi } from '#common/http/open-api.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { KAFKA, LOGGER } from '#common/providers/tokens.js';
import { DatasetRegistry, type RegisteredDataset } from '#core/registry/registry.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { LIVE_TIMING, type LiveTiming } from '../live/live-timing.js';
import { ParkedDecisionsController } from '../read-api/parked-decisions.controller.js';
import { ParkedDecisions } from '../read-api/parked-decisions.js';
import { TraceController } from '../trace/trace.controller.js';
import { TraceMetrics } from '../trace/trace.metrics.js';
import { Tracer } from '../trace/tracer.js';
import { READ_API, TRACKER_ENTITIES } from '../tracker.module.js';

export interface ReadApiApp {
  readonly app: INestApplication;
  readonly database: DataSource;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  stop(): Promise<void>;
}

export interface ReadApiOptions {
  readonly databaseUrl: string;
  readonly datasets?: readonly RegisteredDataset[];
  readonly timing?: LiveTiming;
  readonly logger?: Logger;
  /** With it, parked messages can be published again and skipped, and keys traced. */
  readonly kafka?: { readonly kafka: Kafka; readonly publisher: Publisher };
}

class ReadApiModule {}
Module({})(ReadApiModule);

/** The tracker's HTTP side on a free port, as `runService` sets it up, over a migrated database. */
export async function startReadApi(options: ReadApiOptions): Promise<ReadApiApp> {
  const logger = options.logger ?? pino({ level: 'silent' });
  const database = await controlDatabase(
    { url: options.databaseUrl, applicationName: 'read api test' },
    TRACKER_ENTITIES,
  ).initialize();
  const audit = { log: new AuditLog(poolOf(database)), service: 'tracker' };
  const app = await createHttpApp(
    {
      module: ReadApiModule,
      controllers: options.kafka
        ? [...READ_API.controllers, ParkedDecisionsController, TraceController]
        : READ_API.controllers,
      providers: [
        ...READ_API.providers,
        ...(options.kafka
          ? [
              ParkedDecisions,
              Tracer,
              { provide: TraceMetrics, useFactory: () => new TraceMetrics(new Registry()) },
              { provide: KAFKA, useValue: options.kafka.kafka },
              { provide: Publisher, useValue: options.kafka.publisher },
            ]
          : []),
        { provide: DataSource, useValue: database },
        { provide: DatasetRegistry, useValue: new DatasetRegistry(options.datasets ?? []) },
        { provide: LOGGER, useValue: logger },
        { provide: Registry, useValue: new Registry() },
        {
          provide: LIVE_TIMING,
          useValue: options.timing ?? { pollIntervalMs: 10, heartbeatIntervalMs: 10_000 },
        },
      ],
    },
    { logger, nestLogger: false, access: localAccess(), audit, listeningHost: '127.0.0.1', allowedHosts: [] },
  );
  serveOpenApi(app, 'test', 'test');
  await app.listen(0, '127.0.0.1');
  return {
    app,
    database,
    url: await app.getUrl(),
    stop: async () => {
      await app.close();
      await database.destroy();
    },
  };
}
