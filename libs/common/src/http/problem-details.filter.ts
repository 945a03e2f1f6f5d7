import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Logger } from 'pino';
import { type ErrorCode, errorFacts } from '../errors/error-codes.js';
import { ProblemError } from '../errors/problem-error.js';
import { SluiceError } from '../errors/sluice-error.js';
import { databaseProblem } from '../postgres/database-problem.js';
import { sqlstateOf } from '../postgres/sqlstate.js';

export { ProblemError };

/** Body of every error answer: RFC 9457, with the code, what to do, and whatever the thrower adds. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly action: string;
  readonly [member: string]: unknown;
}

const STATUS_OF_CODE: Partial<Record<ErrorCode, number>> = {
  DATASET_UNKNOWN: 404,
  JOB_UNKNOWN: 404,
  JOB_ACTIVE: 409,
  JOB_TRANSITION_REFUSED: 409,
  JOB_NOTHING_TO_RESUME: 409,
  JOB_RESUME_REFUSED: 409,
  NO_INBOX: 409,
  STREAM_TRANSITION_REFUSED: 409,
  REPLAY_UNKNOWN: 404,
  REPLAY_TRANSITION_REFUSED: 409,
  REPLAY_REFUSED: 409,
  REPLAY_EMPTY: 409,
  REPLAY_EXPIRED: 409,
  REPLAY_INCOMPLETE: 409,
  REPLAY_PRUNED: 409,
  REQUEST_INVALID: 422,
  REQUEST_FORBIDDEN: 403,
  BROKER_UNAVAILABLE: 503,
  DATABASE_UNAVAILABLE: 503,
};

interface HttpResponse {
  headersSent: boolean;
  status(code: number): HttpResponse;
  type(contentType: string): HttpResponse;
  send(body: string): unknown;
}

/** Turns whatever a controller throws into problem details; the unexpected is logged and answered without detail. */
@Catch()
export class ProblemDetailsFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<HttpResponse>();
    const body = this.problemOf(exception);
    if (response.headersSent) return;
    response.status(body.status).type('application/problem+json').send(JSON.stringify(body));
  }

  /** What a client learns of an error, also where a status cannot be sent any more; the unexpected is logged. */
  problemOf(exception: unknown): ProblemBody {
    if (exception instanceof ProblemError) {
      return { ...problem(exception.code, exception.status, exception.message), ...exception.members };
    }
    if (exception instanceof SluiceError) {
      const status = STATUS_OF_CODE[exception.code] ?? (exception.retryable ? 503 : 422);
      if (exception.code !== 'INTERNAL') return problem(exception.code, status, exception.message);
    }
    if (exception instanceof HttpException && exception.getStatus() < 500) {
      return problem('REQUEST_INVALID', exception.getStatus(), exception.message);
    }
    const state = sqlstateOf(exception);
    if (state?.startsWith('22') === true) {
      // The checks of the request should have refused it; the value is in PostgreSQL's message alone.
      this.logger.warn({ err: exception }, 'a request held a value that PostgreSQL does not take');
      const detail = `The database does not take a value of the request (SQLSTATE ${state}).`;
      return problem('REQUEST_INVALID', 422, detail);
    }
    const cause = databaseProblem(exception);
    if (cause !== null) {
      // Where PostgreSQL says why (it is read-only, full, or a right is missing), the caller gets that too.
      const detail = state === null ? 'The database does not answer.' : cause.message;
      this.logger.warn({ err: exception }, `a request failed: ${cause.message}`);
      return problem(cause.code, 503, detail);
    }
    this.logger.error({ err: exception }, 'a request failed');
    return problem('INTERNAL', 500, 'Something unexpected happened; the log has the details.');
  }
}

/** The body of one problem. */
export function problem(code: ErrorCode, status: number, detail: string): ProblemBody {
  const { meaning, action } = errorFacts(code);
  return { type: 'about:blank', title: meaning, status, detail, code, action };
}
