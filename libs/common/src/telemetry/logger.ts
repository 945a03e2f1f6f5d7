import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, destination, pino } from 'pino';
import { messageOf } from '../errors/sluice-error.js';
import { sqlstateOf } from '../postgres/sqlstate.js';

/**
 * JSON lines on standard output. The level says what the operator has to do:
 * error = act; warn = nothing is lost, look when it does not stop; info = nothing.
 */
export function createLogger(service: string, level: string): Logger {
  return loggerTo(destination(1), service, level);
}

/** The same into any stream. */
export function loggerTo(stream: DestinationStream, service: string, level: string): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
    },
    stream,
  );
}

interface DescribedError {
  type: string;
  message: string;
  code?: unknown;
  stack?: string;
  cause?: DescribedError;
}

/**
 * Type, message, code and stack only: pg's errors carry the refused row in `detail` and `where`, and
 * HTTP clients' errors carry the request, so nothing else of an error reaches the log.
 */
function describeError(error: unknown): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  return {
    type: error.name,
    message: loggableMessage(error),
    ...('code' in error ? { code: error.code } : {}),
    ...(error.stack === undefined ? {} : { stack: withoutCredentials(framesOf(error.stack)) }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

/** The stack without its head, which repeats the message. */
function framesOf(stack: string): string {
  const frames = stack.indexOf('\n    at ');
  return frames < 0 ? '' : stack.slice(frames + 1);
}

/**
 * The text of an error as far as it may be logged or shown: without credentials, and without PostgreSQL's
 * messages of class 22, which quote the value that was refused.
 */
export function loggableMessage(error: unknown): string {
  const state = sqlstateOf(error);
  return state?.startsWith('22') === true
    ? `PostgreSQL refused a value (SQLSTATE ${state})`
    : withoutCredentials(messageOf(error));
}

/** Blanks user:password@ and query strings of whatever looks like a URL inside a text. */
export function withoutCredentials(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@')
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s?#'"]*)\?[^\s'"]*/gi, '$1?***');
}

/** Lets Nest log through pino. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }

  warn(message: unknown, context?: unknown): void {
    this.logger.warn({ context }, String(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    if (message instanceof Error) this.logger.error({ err: message }, message.message);
    else this.logger.error({ context: rest.at(-1) }, withoutCredentials(String(message)));
  }

  debug(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }

  verbose(message: unknown, context?: unknown): void {
    this.logger.trace({ context }, String(message));
  }
}
