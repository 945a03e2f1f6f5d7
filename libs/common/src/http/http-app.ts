import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DynamicModule, INestApplication, LoggerService, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import type { Logger } from 'pino';
import type { AccessCheck } from './access-check.js';
import type { AuditLog } from '../access/audit-log.js';
import { CommandAudit } from './command-audit.js';
import { RoleGuard, callerOf, noteCaller } from './role.guard.js';
import { depthOf } from './json-depth.js';
import { requestValidation } from './request-validation.js';
import { ProblemDetailsFilter, ProblemError, problem } from './problem-details.filter.js';
import { type TlsOptions, createPortServer } from './tls-server.js';
import { type GuardSettings, guardedRequestOf, refusalOf } from './request-guard.js';

/**
 * Requests are a few hundred bytes and answers are short: a client that needs longer than this to send one,
 * or sends none, loses its connection. Streams of the tracker are answers, and stay.
 */
const SERVER_LIMITS = {
  /** For the head, counted from the connection on. */
  headersTimeout: 10_000,
  /** For head and body. */
  requestTimeout: 20_000,
  keepAliveTimeout: 5_000,
  /** How often the three are checked; Node's own 30 s would make 10 into 40. */
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16_384,
} as const;

/** A connection costs some 20 KB; a machine full of watchers has dozens. */
const MAX_CONNECTIONS = 1_000;

const MAX_BODY_BYTES = 100 * 1024;
/** Of requests that carry records: a record has 256 KiB, and base64 or escapes on top. */
const MAX_RECORDS_BYTES = 2 * 1024 * 1024;
const CARRIES_RECORDS = /^\/dead-letters\/(edits|import)(\?|$)/;

/** The deepest request has three levels: its options, and a list in them. */
const MAX_BODY_DEPTH = 16;

const SAFE_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  // For the pages below /docs: their buttons send commands.
  'X-Frame-Options': 'DENY',
  'Content-Security-Policy': "frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
} as const;

export interface HttpAppOptions extends GuardSettings {
  readonly logger: Logger;
  /** The errors of Nest itself. */
  readonly nestLogger: LoggerService | false;
  /** Says who a caller is. */
  readonly access: Pick<AccessCheck, 'callerOf'>;
  /** Plain HTTP without it. */
  readonly tls?: TlsOptions;
  /** Keeps who gave which command to which service. */
  readonly audit: { readonly log: AuditLog; readonly service: string };
}

/** The HTTP side of every service: guarded (request-guard.ts), bounded, JSON only, errors as problem details. */
export async function createHttpApp(
  module: DynamicModule | Type,
  options: HttpAppOptions,
): Promise<INestApplication> {
  const app = await NestFactory.create<NestExpressApplication>(
    module,
    new BoundedAdapter(options.tls ?? { tls: () => null }),
    {
      logger: options.nestLogger,
      abortOnError: false,
      // It would add a parser for HTML forms.
      bodyParser: false,
    },
  );
  app.disable('x-powered-by');
  app.use(guard(options));
  const audit = new CommandAudit(options.audit.log, options.audit.service, callerOf);
  app.use((request: IncomingMessage, _response: unknown, next: Next) => {
    audit.receives(request);
    next();
  });
  app.use(identify(options.access));
  app.useBodyParser('json', { limit: MAX_RECORDS_BYTES, verify: markUnlessUtf8, type: carriesRecords });
  app.useBodyParser('json', { limit: MAX_BODY_BYTES, verify: markUnlessUtf8 });
  app.use(refuseOddBodies);
  app.useGlobalGuards(new RoleGuard(audit));
  app.useGlobalFilters(new ProblemDetailsFilter(options.logger));
  app.useGlobalPipes(requestValidation());
  return app;
}

class BoundedAdapter extends ExpressAdapter {
  constructor(private readonly tls: TlsOptions) {
    super();
  }

  override initHttpServer(): void {
    const listener = this.getInstance<(request: IncomingMessage, response: ServerResponse) => void>();
    const server = createPortServer(this.tls, SERVER_LIMITS, listener);
    server.maxConnections = MAX_CONNECTIONS;
    this.httpServer = server;
  }
}

type Next = (error?: unknown) => void;

function guard(settings: GuardSettings) {
  return (request: IncomingMessage, response: ServerResponse, next: Next): void => {
    for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
    const refusal = refusalOf(guardedRequestOf(request), settings);
    if (refusal === null) {
      next();
      return;
    }
    const { code, status, detail } = refusal;
    // A body that is not read must not be taken for the next request.
    const headers = { 'Content-Type': 'application/problem+json', Connection: 'close' };
    response.writeHead(status, headers).end(JSON.stringify(problem(code, status, detail)));
  };
}

/** Before a body is read, and before the pages of `/docs`, which no route of Nest serves: any role may read these. */
function identify(access: HttpAppOptions['access']) {
  return (request: IncomingMessage, response: ServerResponse, next: Next): void => {
    access.callerOf(request).then(
      (caller) => {
        if (caller !== null) noteCaller(request, caller);
        next();
      },
      (error: unknown) => {
        response.setHeader('Connection', 'close');
        if (error instanceof ProblemError && error.status === 401)
          response.setHeader('WWW-Authenticate', 'Bearer realm="sluice"');
        const seconds = error instanceof ProblemError ? error.members['retryAfterSeconds'] : undefined;
        if (typeof seconds === 'number') response.setHeader('Retry-After', seconds);
        next(error);
      },
    );
  };
}

function carriesRecords({ url = '', headers }: IncomingMessage): boolean {
  return CARRIES_RECORDS.test(url) && /^application\/json\b/i.test(headers['content-type'] ?? '');
}

const notUtf8 = new WeakSet<IncomingMessage>();

/** An error thrown here would be answered as 403, whatever it says. */
function markUnlessUtf8(request: IncomingMessage, _response: unknown, bytes: Buffer): void {
  if (!isUtf8(bytes)) notUtf8.add(request);
}

function refuseOddBodies(
  request: IncomingMessage & { body?: unknown },
  _response: unknown,
  next: Next,
): void {
  if (notUtf8.has(request)) next(oddBody('The body is not UTF-8.'));
  else if (depthOf(request.body) > MAX_BODY_DEPTH) {
    next(oddBody(`The body is nested deeper than ${MAX_BODY_DEPTH} levels.`));
  } else if (hasInheritedName(request.body)) {
    next(oddBody('The body has a member by a name that every object has, like "constructor".'));
  } else next();
}

/** Such members would be lost when a class is filled, and not be reported as unknown. For a body that is not deep. */
function hasInheritedName(value: unknown, isBody = true): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([name, member]) =>
      name === '__proto__' || (isBody && name in Object.prototype) || hasInheritedName(member, false),
  );
}

function oddBody(detail: string): ProblemError {
  return new ProblemError('REQUEST_INVALID', detail, 400);
}
