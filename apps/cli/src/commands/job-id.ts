import type { JobSummary } from '#api/jobs.js';
import type { ErrorCode } from '#common/errors/error-codes.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { isFinal } from '#core/job/job-state.js';
import type { SluiceClient } from '../client.js';
import { formatCount } from '../render/format.js';
import { PROGRAM } from '../render/program-name.js';
import type { CliContext } from './context.js';
import { requireDataset } from './known-dataset.js';

/**
 * Which job a command means: an id, the beginning or the end of one, `last`, or, without any of these, the one job
 * that the command can apply to. Of the jobs of streams the last two mean only those that are paused or have failed.
 *
 * - ID1: a short form means a job only when exactly one job has it. The command never chooses among several.
 * - ID2: a job that was not named by its id is named on stderr before anything is done to it.
 */
export interface JobChoice {
  /** As it was typed; undefined when nothing was. */
  readonly given: string | undefined;
  /** Consider only jobs of this dataset. */
  readonly dataset?: string | undefined;
  /** Which jobs come into question when nothing was typed; the active ones by default. */
  readonly fits?: JobFilter;
}

/** What every command that names a job takes beside it. */
export type NamedJob = Pick<JobChoice, 'dataset'>;

export interface JobFilter {
  readonly test: (job: JobSummary) => boolean;
  /** Completes "No job …" and "More than one job …". */
  readonly words: string;
  /** How the command ends when there is none; JOB_UNKNOWN by default. */
  readonly none?: ErrorCode;
}

const ACTIVE: JobFilter = { test: ({ state }) => !isFinal(state), words: 'is active' };
export const RUNNING: JobFilter = { test: ({ state }) => state === 'running', words: 'is running' };
export const PAUSED: JobFilter = { test: ({ state }) => state === 'paused', words: 'is paused' };
export const RESUMABLE: JobFilter = {
  test: ({ state, problem, resumable, interrupted }) =>
    resumable || interrupted || (state === 'running' && problem !== null),
  words: 'can be resumed',
  none: 'JOB_NOTHING_TO_RESUME',
};

/** Short forms are looked up among this many of the newest jobs. */
const NEWEST_JOBS = 1_000;
const LEAST_CHARACTERS = 4;
const MOST_LISTED = 10;
const SHORT_FORM = /^[0-9a-f-]+$/i;
const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const FORMS =
  'Give a whole id (a UUID), at least four characters of its beginning or end, or `last` for the newest job.';

/**
 * @returns the whole id
 * @throws SluiceError USAGE_INVALID naming the candidates when several jobs fit, or when it cannot be an id;
 *         JOB_UNKNOWN when no job fits; DATASET_UNKNOWN
 */
export async function jobId(context: CliContext, client: SluiceClient, choice: JobChoice): Promise<string> {
  const { given, dataset, fits = ACTIVE } = choice;
  if (given !== undefined && WHOLE_ID.test(given)) return given;
  if (given !== undefined && given !== 'last') requireShortForm(given);
  if (dataset !== undefined) await requireDataset(client, dataset);
  const jobs = await newestJobs(client, { dataset, streams: 'hidden' }, given === 'last' ? 1 : NEWEST_JOBS);
  const of = dataset === undefined ? '' : ` of ${dataset}`;
  if (given === undefined) {
    const found = onlyOne(jobs.filter(fits.test), of, fits.words, fits.none);
    say(context, found, `the only job${of} that ${fits.words}`);
    return found.id;
  }
  if (given === 'last') {
    const [newest] = jobs;
    if (newest === undefined)
      throw new SluiceError(
        'JOB_UNKNOWN',
        `There is no job${of} yet. Start one with \`${PROGRAM} run ${dataset ?? '<dataset>'}\`.`,
      );
    say(context, newest, `the newest job${of}`);
    return newest.id;
  }
  const part = compact(given);
  const isMeant = ({ id }: JobSummary): boolean => compact(id).startsWith(part) || compact(id).endsWith(part);
  // Beside a stream, jobs of other kinds would not be among the newest.
  const all = [...jobs, ...(await newestJobs(client, { dataset }, NEWEST_JOBS))];
  const distinct = [...new Map(all.map((job) => [job.id, job])).values()];
  return onlyOne(distinct.filter(isMeant), of, `has an id that begins or ends with ${given}`).id;
}

/** What lists show of an id: its end, because ids of the same hour begin alike. `jobId` accepts it. PURE. */
export function shortId(id: string): string {
  return id.slice(-8);
}

/** ID1 */
function onlyOne(
  jobs: readonly JobSummary[],
  of: string,
  words: string,
  none: ErrorCode = 'JOB_UNKNOWN',
): JobSummary {
  const [first, second] = jobs;
  if (first === undefined) throw new SluiceError(none, `No job${of} ${words}.`);
  if (second === undefined) return first;
  const list = jobs.slice(0, MOST_LISTED).map(({ id, dataset, state }) => `\n  ${id}  ${dataset}, ${state}`);
  if (jobs.length > MOST_LISTED) list.push(`\n  and ${formatCount(jobs.length - MOST_LISTED)} more`);
  throw new SluiceError(
    'USAGE_INVALID',
    `More than one job${of} ${words}; name one of these:${list.join('')}`,
  );
}

/** ID2 */
function say(context: CliContext, { id, dataset, state }: JobSummary, why: string): void {
  context.stderr.write(`Using job ${id} (${dataset}, ${state}), ${why}.\n`);
}

function requireShortForm(given: string): void {
  if (SHORT_FORM.test(given) && compact(given).length >= LEAST_CHARACTERS) return;
  throw new SluiceError('USAGE_INVALID', `"${given}" is no id of a job. ${FORMS}`);
}

/** Hyphens may be left out. */
const compact = (id: string): string => id.replaceAll('-', '').toLowerCase();

async function newestJobs(
  client: SluiceClient,
  query: { readonly dataset: string | undefined; readonly streams?: 'hidden' },
  most: number,
): Promise<JobSummary[]> {
  const jobs: JobSummary[] = [];
  for await (const job of client.jobs(query)) {
    if (jobs.push(job) === most) break;
  }
  return jobs;
}
