import { SluiceError } from '#common/errors/sluice-error.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import type { JobRepository } from '#core/job/job.repository.js';

/** JOB_ACTIVE as a 409 whose `activeJob` is the job that holds the dataset; any other error as it is. */
export async function activeJobProblem(error: unknown, jobs: JobRepository): Promise<unknown> {
  if (!(error instanceof SluiceError) || error.code !== 'JOB_ACTIVE') return error;
  const { dataset, job } = error.place;
  const activeJob = job ?? (dataset === undefined ? null : await jobs.activeJobOf(dataset));
  return new ProblemError('JOB_ACTIVE', error.message, 409, { activeJob });
}
