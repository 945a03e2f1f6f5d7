import type { ErrorCode } from './error-codes.js';
import { SluiceError } from './sluice-error.js';

/** An error with an HTTP status of its own and more members for the problem body, e.g. the wrong fields. */
export class ProblemError extends SluiceError {
  constructor(
    code: ErrorCode,
    message: string,
    readonly status: number,
    readonly members: Readonly<Record<string, unknown>> = {},
    options?: { cause?: unknown },
  ) {
    super(code, message, {}, options);
  }
}
