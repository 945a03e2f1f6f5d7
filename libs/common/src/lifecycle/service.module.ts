import { type DynamicModule, Module, type OnApplicationShutdown } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type pg from 'pg';
import type { Logger } from 'pino';
import { Registry, collectDefaultMetrics } from 'prom-client';
import { counter, gauge } from '../telemetry/metrics.js';
import type { ConnectionConfig } from '../config/connection.config.js';
import { Health, HealthController } from '../http/health.controller.js';
import { MetricsController } from '../http/metrics.controller.js';
import { createKafka } from '../kafka/client/kafka-client.js';
import { Publisher } from '../kafka/transport/publisher.js';
import { DatabaseHealth } from '../postgres/database-health.js';
import { createPool } from '../postgres/pool.js';
import { PoolMetrics } from '../telemetry/pool.metrics.js';
import { OWN_BUILD } from '../telemetry/build.js';
import { standardLog } from '../telemetry/log-destination.js';
import { loggedLines } from '../telemetry/logger.js';
import type { Tracing } from '../telemetry/tracing/traced-work.js';
import { KAFKA, LOGGER, PG_POOL, TRACING } from '../providers/tokens.js';

export interface ServiceFacts {
  /** Name of the app, as in its folder. */
  readonly name: string;
  /** Distinguishes this process from its siblings: shown in pg_stat_activity and in job leases. */
  readonly instance: string;
  readonly config: ConnectionConfig;
  readonly logger: Logger;
  /** Null or absent: traces are off. */
  readonly tracing?: Tracing | null;
  /** Connections of the plain `pg` pool; 0 for a service that has no database. */
  readonly poolSize: number;
}

/** prom-client's own 10 ms wake an idle service up a hundred times a second, for delays that do not matter here. */
const EVENT_LOOP_LOOKS_MS = 50;

/** What every service has: logger, metrics, health, Kafka client and publisher, and a `pg` pool if it uses one. */
@Module({})
export class ServiceModule implements OnApplicationShutdown {
  constructor(private readonly moduleRef: ModuleRef) {}

  static for(facts: ServiceFacts): DynamicModule {
    const { config, logger, name, instance, poolSize, tracing = null } = facts;
    const health = new Health();
    const registry = new Registry();
    registry.setDefaultLabels({ service: name });
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_LOOKS_MS });
    countDroppedLines(registry);
    countLogLines(registry);
    countSpans(registry, tracing);
    gauge(registry, 'sluice_build_info').set({ build: OWN_BUILD ?? 'unknown' }, 1);
    const kafka = createKafka({
      ...{ brokers: config.brokers(), clientId: `sluice-${name}`, logger },
      ...config.kafkaSecurity(),
    });
    const applicationName = `sluice ${name} ${instance}`.slice(0, 63);
    const pool =
      poolSize > 0
        ? createPool({ url: () => config.databaseUrl, applicationName, maxConnections: poolSize })
        : null;
    const pools = new PoolMetrics(registry);
    if (pool) pools.watch('direct', pool);
    const databaseHealth = pool && new DatabaseHealth(pool);
    if (databaseHealth) health.add(databaseHealth);
    return {
      module: ServiceModule,
      global: true,
      controllers: [HealthController, MetricsController],
      providers: [
        { provide: LOGGER, useValue: logger },
        { provide: Health, useValue: health },
        { provide: Registry, useValue: registry },
        { provide: KAFKA, useValue: kafka },
        { provide: PG_POOL, useValue: pool },
        { provide: PoolMetrics, useValue: pools },
        { provide: TRACING, useValue: tracing },
        { provide: DatabaseHealth, useValue: databaseHealth },
        Publisher,
      ],
      exports: [LOGGER, Health, Registry, KAFKA, PG_POOL, PoolMetrics, TRACING, Publisher],
    };
  }

  /** Runs after every consumer has drained. */
  async onApplicationShutdown(): Promise<void> {
    this.moduleRef.get<DatabaseHealth | null>(DatabaseHealth)?.stop();
    await this.moduleRef.get(Publisher).disconnect();
    await this.moduleRef.get<pg.Pool | null>(PG_POOL)?.end();
    await this.moduleRef.get<Tracing | null>(TRACING)?.close();
  }
}

function countDroppedLines(registry: Registry): void {
  counter(registry, 'sluice_log_lines_dropped_total', (dropped) => {
    dropped.reset();
    dropped.inc(standardLog().losses().droppedLines);
  });
}

function countLogLines(registry: Registry): void {
  counter(registry, 'sluice_log_lines_total', (lines) => {
    lines.reset();
    for (const [level, count] of loggedLines()) lines.inc({ level }, count);
  });
}

function countSpans(registry: Registry, tracing: Tracing | null): void {
  counter(registry, 'sluice_trace_spans_total', (spans) => {
    const { exported, dropped } = tracing?.spans ?? { exported: 0, dropped: 0 };
    spans.reset();
    spans.inc({ outcome: 'exported' }, exported);
    spans.inc({ outcome: 'dropped' }, dropped);
  });
}
