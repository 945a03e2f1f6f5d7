import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import type { DynamicModule, INestApplication } from '@nestjs/common';
import type pg from 'pg';
import type { Logger } from 'pino';
import { AccessCheck } from '../http/access-check.js';
import { AuditLog } from '../access/audit-log.js';
import { LocalToken } from '../access/local-token.js';
import { OidcTokens } from '../access/oidc-tokens.js';
import { ConnectionConfig } from '../config/connection.config.js';
import { type Settings, loadAllSettings } from '../config/environment.js';
import type { ErrorCode } from '../errors/error-codes.js';
import { SluiceError, messageOf } from '../errors/sluice-error.js';
import { watchFaultPoints } from '../faults/fault-point.js';
import { Health } from '../http/health.controller.js';
import { createHttpApp } from '../http/http-app.js';
import type { TlsOptions } from '../http/tls-server.js';
import { BatchServer } from '../kafka/transport/batch-server.js';
import { createPool } from '../postgres/pool.js';
import { LogConfig } from '../telemetry/log.config.js';
import { NestLogger, createLogger, createServiceLogger, loggableMessage } from '../telemetry/logger.js';
import { startTracing } from '../telemetry/tracing/start-tracing.js';
import { TraceConfig } from '../telemetry/tracing/trace.config.js';
import type { Tracing } from '../telemetry/tracing/traced-work.js';
import { SERVICE_EXIT } from './service-exit.js';
import { serveWhileStarting } from './starting-server.js';

export interface ServiceDefinition<C extends ConnectionConfig> {
  readonly name: string;
  /** Every settings class that the service reads, its own first: all are checked before anything is started. */
  readonly settings: readonly [new () => C, ...(new () => object)[]];
  /** Whether the module provides a BatchServer. */
  readonly consumes: boolean;
  /** Builds the root module once the settings are known. */
  readonly module: (context: ServiceContext<C>) => DynamicModule | Promise<DynamicModule>;
  /** Called after the module is built and before anything is served, e.g. for OpenAPI. */
  readonly prepare?: (app: INestApplication, config: C) => void | Promise<void>;
}

export interface ServiceContext<C extends ConnectionConfig> {
  readonly name: string;
  readonly config: C;
  /** The other classes of {@link ServiceDefinition.settings}. */
  readonly settings: Settings;
  readonly logger: Logger;
  /** `host:pid`: the owner in job leases. */
  readonly instance: string;
  /** Null or absent: traces are off. */
  readonly tracing?: Tracing | null;
  /** Ends the process with `crashed` after logging; for what the process cannot fix itself. */
  readonly fatal: (error: Error) => void;
}

/**
 * Percent that the heap may grow, buffers outside it included, until all of it is collected again.
 *
 * A service handles buffers of half a megabyte, and with V8's own growth factor a heap that hardly changes (36 MB of
 * program) is collected every 15 MB of them: for 1.6 million rows that took a fifth of validator's and loader's CPU
 * time (`docs/performance.md`). More would bring the services near the 256 MB of G9.
 */
const HEAP_GROWTH_PERCENT = 100;

/** Stays the same at the next start: a restart cannot help. */
const WRONG_UNTIL_FIXED: readonly ErrorCode[] = ['SETTING_INVALID', 'DATASET_INVALID'];

/**
 * The life of every service.
 *
 * States: starting → serving HTTP (not ready) → consuming (ready) → draining → ended.
 * - RU1: probes are answered from the start on, before PostgreSQL and Kafka do: live, not ready. So a probe can distinguish
 *   waiting from dead.
 * - RU2: SIGTERM or SIGINT: not ready at once, consumers finish the work in progress and commit, then pools close;
 *   after `drainTimeoutMs`, or at a second signal, the process ends anyway: work not committed comes again.
 */
export async function runService<C extends ConnectionConfig & { port: number }>(
  definition: ServiceDefinition<C>,
): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  const settings = settingsOrExit(definition);
  const config = settings.of(definition.settings[0]);
  const logger = await loggerOrExit(definition.name, config.logLevel, settings);
  watchFaultPoints(config.faultFolder);
  if (config.faultFolder !== '') logger.warn({ folder: config.faultFolder }, 'fault points are armed');
  const fatal = (error: Error): void => {
    logger.fatal({ err: error }, `ending: ${loggableMessage(error)}`);
    process.exit(SERVICE_EXIT.crashed);
  };
  process.on('unhandledRejection', (reason) => {
    fatal(reason instanceof Error ? reason : new SluiceError('INTERNAL', messageOf(reason)));
  });
  try {
    const tls: TlsOptions = {
      tls: () => config.tls(),
      onUnusable: (error) => {
        logger.warn({ err: error }, 'the new SLUICE_TLS_CERTIFICATE is not used: the one before stays');
      },
    };
    const endStarting = await serveWhileStarting(config.port, config.host, tls);
    const instance = `${hostname()}:${process.pid}`;
    const { endpoint } = settings.of(TraceConfig);
    const tracing = await startTracing({ service: definition.name, instance, endpoint, logger });
    const { name } = definition;
    const module = await definition.module({ name, config, settings, logger, instance, tracing, fatal });
    const database = accessPool(config, `sluice ${definition.name} access`);
    const app = await createHttpApp(module, {
      logger,
      nestLogger: new NestLogger(logger),
      listeningHost: config.host,
      allowedHosts: config.extraHosts(),
      tls,
      access: accessOf(config, database, logger),
      audit: { log: auditOn(database, logger), service: definition.name },
    });
    for (const warning of accessWarnings(config)) {
      logger.warn({ host: config.host }, warning);
      app.get(Health).warn(warning);
    }
    await definition.prepare?.(app, config);
    drainOnSignals(app, logger, config.drainTimeoutMs);
    await endStarting();
    await app.listen(config.port, config.host);
    logger.info({ port: config.port, host: config.host }, 'listening');
    if (definition.consumes) {
      const consumer = app.get(BatchServer, { strict: false });
      app.get(Health).add(consumer.health);
      app.connectMicroservice({ strategy: consumer });
      await app.startAllMicroservices();
    }
    logger.info('started');
  } catch (error) {
    if (error instanceof SluiceError && WRONG_UNTIL_FIXED.includes(error.code)) {
      logger.fatal({ err: error }, `ending: ${error.message}`);
      process.exit(SERVICE_EXIT.wrongSettings);
    }
    fatal(error instanceof Error ? error : new SluiceError('INTERNAL', messageOf(error)));
  }
}

const OPEN_WARNING =
  'SLUICE_ACCESS is open: every caller that reaches the port may do everything, unless a proxy in front asks for a login';

const CLEAR_WARNING =
  'SLUICE_ACCESS is token, and the port speaks plain HTTP: tokens can be read on the way; set SLUICE_TLS_CERTIFICATE and SLUICE_TLS_KEY, or name the proxy with TLS in SLUICE_TRUSTED_PROXY';

function accessWarnings(config: ConnectionConfig): readonly string[] {
  return [
    ...(config.access === 'open' ? [OPEN_WARNING] : []),
    ...(config.sendsTokensInTheClear() ? [CLEAR_WARNING] : []),
  ];
}

/** For tokens and audit, opened when one is looked up or a command is recorded: the validator has no others. */
function accessPool(config: ConnectionConfig, applicationName: string): pg.Pool {
  return createPool({ url: () => config.databaseUrl, applicationName, maxConnections: 2 });
}

function accessOf(config: ConnectionConfig, database: pg.Pool, logger: Logger): AccessCheck {
  return new AccessCheck({
    mode: config.access,
    isMetricsOpen: config.metricsOpen === 'true',
    requestsPerMinute: config.requestsPerMinute,
    trustedProxies: config.trustedProxies(),
    oidc:
      config.oidcIssuer === ''
        ? null
        : new OidcTokens({
            issuer: config.oidcIssuer,
            audience: config.oidcAudience,
            roleClaim: config.oidcRoleClaim,
            roles: config.rolesOfClaims(),
            onAway: (error) => {
              logger.warn({ err: error }, 'the OIDC provider cannot be asked for its keys');
            },
          }),
    localToken: LocalToken.fromFile(config.localTokenFile),
    database,
  });
}

function auditOn(database: pg.Pool, logger: Logger): AuditLog {
  return new AuditLog(database, (error) => {
    logger.warn({ err: error }, 'the outcome of a command is not in the audit');
  });
}

function settingsOrExit<C extends ConnectionConfig & { port: number }>(
  definition: ServiceDefinition<C>,
): Settings {
  try {
    return loadAllSettings([...definition.settings, LogConfig, TraceConfig]);
  } catch (error) {
    createLogger(definition.name, 'info').fatal(messageOf(error));
    process.exit(SERVICE_EXIT.wrongSettings);
  }
}

async function loggerOrExit(name: string, level: string, settings: Settings): Promise<Logger> {
  try {
    return await createServiceLogger(name, level, settings.of(LogConfig).logFiles());
  } catch (error) {
    createLogger(name, 'info').fatal(messageOf(error));
    process.exit(SERVICE_EXIT.wrongSettings);
  }
}

function drainOnSignals(app: INestApplication, logger: Logger, drainTimeoutMs: number): void {
  let draining = false;
  const drain = (signal: NodeJS.Signals): void => {
    if (draining) {
      logger.warn({ signal }, 'second signal: stopping at once');
      process.exit(SERVICE_EXIT.drainTimedOut);
    }
    draining = true;
    logger.info({ signal }, 'draining');
    app.get(Health).drain();
    setTimeout(() => {
      logger.warn(
        { drainTimeoutMs },
        'not drained in time: stopping; uncommitted work will be delivered again',
      );
      process.exit(SERVICE_EXIT.drainTimedOut);
    }, drainTimeoutMs).unref();
    app.close().then(
      () => {
        logger.info('drained');
        process.exit(SERVICE_EXIT.ok);
      },
      (error: unknown) => {
        logger.error({ err: error }, 'draining failed');
        process.exit(SERVICE_EXIT.crashed);
      },
    );
  };
  process.on('SIGTERM', drain);
  process.on('SIGINT', drain);
}
