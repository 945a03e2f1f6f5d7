import { type ErrorCode, errorFacts } from './error-codes.js';

/** Where it happened; every part is safe to be shown. */
export interface ErrorPlace {
  readonly dataset?: string;
  readonly job?: string;
  readonly batch?: number;
  readonly file?: string;
  readonly line?: number;
}

/**
 * The only error that Sluice throws on purpose.
 * `message` says what happened and never holds credentials or a record's content;
 * what to do, and whether trying again can help, is fixed by the code.
 */
export class SluiceError extends Error {
  override readonly name = 'SluiceError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly place: ErrorPlace = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  get retryable(): boolean {
    return errorFacts(this.code).retryable;
  }

  get action(): string {
    return errorFacts(this.code).action;
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code of anything that was thrown: what may stand where a message must not. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof SluiceError ? error.code : 'INTERNAL';
}
