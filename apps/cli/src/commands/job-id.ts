import { isFinal } from '#core/job/job-state.js';
import type { JobSummary } from '#core/job/job-view.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SluiceClient } from '../client.js';

/** Which job a command means: an id, `last`, the end of an id, or, without any, the one job that is active. */

/** As far back as a short form is looked up. */
const NEWEST_JOBS = 1_000;
const SHORT_FORM = /^[0-9a-f-]{6,35}$/i;
const WHOLE_ID = /^[0-9a-f-]{36}$/i;

/** @throws SluiceError USAGE_INVALID saying which jobs come into question; JOB_UNKNOWN when there is none */
export async function jobId(client: SluiceClient, given: string | undefined): Promise<string> {
  if (given !== undefined && WHOLE_ID.test(given)) return given;
  if (given !== undefined && given !== 'last' && !SHORT_FORM.test(given)) {
    const forms = '`last`, an id as `sluice jobs` lists it, or six or more characters of the end of one';
    throw new SluiceError('USAGE_INVALID', `"${given}" names no job; name one by ${forms}.`);
  }
  const jobs = await newestJobs(client);
  if (given === undefined)
    return onlyOne(
      jobs.filter(({ state }) => !isFinal(state)),
      'is active',
    );
  if (given === 'last') {
    const [newest] = jobs;
    if (newest === undefined) throw new SluiceError('JOB_UNKNOWN', 'There is no job yet.');
    return newest.id;
  }
  const ending = given.toLowerCase();
  return onlyOne(
    jobs.filter(({ id }) => id.endsWith(ending)),
    `has an id that ends with ${given}`,
  );
}

async function newestJobs(client: SluiceClient): Promise<JobSummary[]> {
  const jobs: JobSummary[] = [];
  for await (const job of client.jobs({})) {
    if (jobs.push(job) === NEWEST_JOBS) break;
  }
  return jobs;
}

function onlyOne(jobs: readonly JobSummary[], what: string): string {
  const [first, second] = jobs;
  if (first === undefined) throw new SluiceError('JOB_UNKNOWN', `No job ${what}.`);
  if (second === undefined) return first.id;
  const list = jobs.map(({ id, dataset, state }) => `\n  ${id}  ${dataset}, ${state}`).join('');
  throw new SluiceError('USAGE_INVALID', `More than one job ${what}; name one of these:${list}`);
}
