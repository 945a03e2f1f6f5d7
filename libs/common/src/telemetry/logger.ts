import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, multistream, pino } from 'pino';
import { type ErrorCode, errorFacts } from '../errors/error-codes.js';
import { SluiceError, messageOf } from '../errors/sluice-error.js';
import { sqlstateOf } from '../postgres/sqlstate.js';
import { standardLog } from './log-destination.js';
import { type LogFileSettings, type LogFiles, openLogFiles } from './log-files.js';

/**
 * JSON lines on standard output. The level says what the operator has to do:
 * error = act; warn = nothing is lost, look when it does not stop; info = nothing.
 */
export function createLogger(service: string, level: string, files?: LogFiles): Logger {
  const log = standardLog();
  const logger = loggerTo(files === undefined ? log : alsoTo(log, files), service, level);
  log.onRecovered = (droppedLines) => {
    logger.warn(
      { droppedLines },
      'the log could not be written for a while; lines that did not fit were dropped',
    );
  };
  return logger;
}

/**
 * The log of a service: standard output, and files where the settings name a folder.
 * @throws SluiceError SETTING_INVALID when nothing can be written in the folder
 */
export async function createServiceLogger(
  service: string,
  level: string,
  settings: LogFileSettings | undefined,
): Promise<Logger> {
  if (settings === undefined) return createLogger(service, level);
  const toConsole = createLogger(service, level);
  const files = await openLogFiles(service, settings, (error) => {
    toConsole.warn(
      { err: error, folder: settings.folder },
      'a log file cannot be written; lines are missing there',
    );
  });
  return createLogger(service, level, files);
}

/** Every line to the console and the file of all lines, and errors to their own file as well. */
export function alsoTo(console: DestinationStream, { all, errors }: LogFiles): DestinationStream {
  return multistream([
    { stream: console, level: 'trace' },
    { stream: all, level: 'trace' },
    { stream: errors, level: 'error' },
  ]);
}

/** Lines that this process has logged, by level; each level is there from the start. */
const lines = new Map<string, number>(
  ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => [level, 0]),
);

export function loggedLines(): ReadonlyMap<string, number> {
  return lines;
}

/** The same into any stream. */
export function loggerTo(stream: DestinationStream, service: string, level: string): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: {
        logMethod(inputs, method, level) {
          const label = this.levels.labels[level] ?? 'other';
          lines.set(label, (lines.get(label) ?? 0) + 1);
          method.apply(this, inputs);
        },
      },
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
    ...(error.stack === undefined ? {} : { stack: withoutCredentials(framesOf(error.stack, error.message)) }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

/** The stack without its head, which repeats the message: a message may hold lines that look like frames. */
function framesOf(stack: string, message: string): string {
  const behind = message === '' ? -1 : stack.indexOf(message);
  const frames = stack.indexOf('\n    at ', behind < 0 ? 0 : behind + message.length);
  return frames < 0 ? '' : stack.slice(frames + 1);
}

/**
 * Codes whose message may quote the header of a source. Users who may see the job may read it there; a log has
 * other readers as well, and a source may be a service's response that was not meant for them.
 */
const QUOTES_ITS_SOURCE: ReadonlySet<ErrorCode> = new Set(['SOURCE_REFUSED', 'SOURCE_CHANGED']);

/**
 * The text of an error as far as it may be logged or shown: without credentials, without the contents of a source, and
 * without PostgreSQL's messages of class 22, which quote the value that was refused.
 */
export function loggableMessage(error: unknown): string {
  if (error instanceof SluiceError && QUOTES_ITS_SOURCE.has(error.code)) {
    return `${errorFacts(error.code).meaning} The job has the findings.`;
  }
  const state = sqlstateOf(error);
  return state?.startsWith('22') === true
    ? `PostgreSQL refused a value (SQLSTATE ${state})`
    : withoutCredentials(messageOf(error));
}

/**
 * Blanks what may be a secret in whatever looks like a URL or a setting inside a text. The last net, so it is greedy:
 * a password may hold any character but white space, also `/` and `@`, so all up to the last `@` goes. Takes time in
 * proportion to the text.
 */
export function withoutCredentials(text: string): string {
  return text.replace(/\S+/g, withoutUserinfo).replace(SECRET_SETTING, '$1***');
}

function withoutUserinfo(word: string): string {
  const scheme = word.indexOf('://');
  if (scheme < 0) return withoutBareUserinfo(word);
  const host = word.slice(Math.max(scheme + 3, word.lastIndexOf('@') + 1));
  const userinfo = word.lastIndexOf('@') > scheme ? '***@' : '';
  const tail = host.search(/[?#]/);
  return `${word.slice(0, scheme + 3)}${userinfo}${tail < 0 ? host : `${host.slice(0, tail + 1)}***`}`;
}

/** `user:password@host` without a scheme. */
function withoutBareUserinfo(word: string): string {
  const colon = word.indexOf(':');
  const at = word.lastIndexOf('@');
  if (colon < 0 || at < colon || at === word.length - 1) return word;
  const start = Math.max(...['"', "'", '(', '=', '<', ','].map((mark) => word.lastIndexOf(mark, colon))) + 1;
  return `${word.slice(0, start)}***${word.slice(at)}`;
}

/** `password=…`, `"token": "…"`, `api_key='…'`, `Authorization: Bearer …`. */
const SECRET_SETTING = new RegExp(
  [
    `((?:pass(?:word|wd|phrase)?|pwd|secret|token|signature|api[_-]?key|access[_-]?key|private[_-]?key)["']?\\s*=\\s*`,
    `|"(?:pass(?:word|wd|phrase)?|pwd|secret|[a-z_]*token|api[_-]?key)"\\s*:\\s*`,
    `|\\b(?:bearer|basic)\\s+(?=[a-z0-9+/._~-]{8,}={0,2}))("[^"]*"|'[^']*'|[^\\s,;]+)`,
  ].join(''),
  'gi',
);

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
    if (message instanceof Error) this.logger.error({ err: message }, loggableMessage(message));
    else this.logger.error({ context: rest.at(-1) }, withoutCredentials(String(message)));
  }

  debug(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }

  verbose(message: unknown, context?: unknown): void {
    this.logger.trace({ context }, String(message));
  }
}
