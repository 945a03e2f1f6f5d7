import { SluiceError } from '#common/errors/sluice-error.js';
import { ProblemError } from '#common/http/problem-details.filter.js';

/** JOB_ACTIVE as a 409 whose `activeJob` is the job that excludes the other; any other error as it is. */
export function activeJobProblem(error: unknown): unknown {
  if (!(error instanceof SluiceError) || error.code !== 'JOB_ACTIVE') return error;
  return new ProblemError('JOB_ACTIVE', error.message, 409, { activeJob: error.place.job ?? null });
}
