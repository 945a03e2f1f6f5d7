import type { JobDetail } from '#api/jobs.js';
import { type ErrorCode, errorFacts } from '#common/errors/error-codes.js';
import { type ErrorPlace, SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { exitOfJob, knownErrorCode } from '../exit-codes.js';

/**
 * What every `--json` prints around its answer. PURE.
 *
 * - JE1: an object has `ok`, which is true exactly when the command ends with code 0.
 * - JE2: with `ok: false` there is an `error` with `code`, `message`, `todo` and `retryable`.
 * - JE3: everything else of an answer stands beside `ok`, where it stood before there was an envelope. Lists stay
 *   arrays or one object a line; a failure of theirs is one object with `ok: false`.
 */
export interface ErrorJson {
  /** One of docs/errors.md. */
  readonly code: string;
  readonly message: string;
  /** What to do. */
  readonly todo: string;
  /** Whether the same command may succeed later without a change. */
  readonly retryable: boolean;
  readonly where?: ErrorPlace;
}

/** JE1 */
export function successJson(answer: object): string {
  return `${JSON.stringify({ ok: true, ...answer })}\n`;
}

/** JE2 @param answer what is known beside the error */
export function failureJson(error: ErrorJson, answer: object = {}): string {
  return `${JSON.stringify({ ...answer, ok: false, error })}\n`;
}

/** Anything that was thrown. */
export function errorJson(error: unknown): ErrorJson {
  const known = error instanceof SluiceError ? error : undefined;
  const { code = 'INTERNAL', place = {} } = known ?? {};
  const where = Object.keys(place).length === 0 ? {} : { where: place };
  return { ...errorOf(code, messageOf(error)), ...where };
}

/** An error of a command that threw nothing. */
export function errorOf(code: ErrorCode, message: string): ErrorJson {
  const { action, retryable } = errorFacts(code);
  return { code, message, todo: action, retryable };
}

/** JE2 for a command that followed a job; null when the job succeeded. */
export function jobErrorJson(job: JobDetail): ErrorJson | null {
  if (exitOfJob(job) === 'success') return null;
  const { id, state, error, pauseDetail, problem } = job;
  const told = state === 'paused' ? pauseDetail : state === 'running' ? problem : error;
  if (told !== null) {
    const { code, message, action } = told;
    const { retryable } = errorFacts(knownErrorCode(code));
    // `action` was there before `todo`.
    return { code, message, ...{ action }, todo: action, retryable };
  }
  if (state === 'paused') return errorOf('JOB_PAUSED', `An operator paused job ${id}.`);
  if (state === 'cancelled') return errorOf('JOB_CANCELLED', `Job ${id} was cancelled.`);
  return errorOf('INTERNAL', `Job ${id} is ${state}, and no reason is known.`);
}

/** The command has closed the object that it was printing, with its error in it. */
export class PrintedError extends Error {
  override readonly name = 'PrintedError';

  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
  }
}

/** Whether a command line asks for JSON, also one that cannot be understood. */
export function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).includes('--json');
}
