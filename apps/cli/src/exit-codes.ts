import type { JobDetail } from '#api/jobs.js';
import { type ErrorCode, ERROR_CODES } from '#common/errors/error-codes.js';
import { SluiceError } from '#common/errors/sluice-error.js';

/** How `sluice` ends. A script can distinguish all of them; docs/cli.md lists exactly these (a test compares). */
export const EXIT_CODES = {
  success: { code: 0, meaning: 'Success.' },
  failed: { code: 1, meaning: 'The job or the command failed; the tables are as they were.' },
  usage: {
    code: 2,
    meaning: 'The command line is wrong, or a question could not be asked; nothing was done.',
  },
  refusedShare: {
    code: 3,
    meaning: 'More records were refused than the limit allows; the tables are as they were.',
  },
  notReachable: { code: 4, meaning: 'The system, or something that it needs, cannot be reached.' },
  alreadyRunning: {
    code: 5,
    meaning: 'Another job of the dataset is active and excludes this one.',
  },
  cancelled: { code: 6, meaning: 'The job was cancelled, or the question was not answered with "yes".' },
  findings: { code: 7, meaning: '`check` found errors in the file, or `doctor` found something missing.' },
  nothingToResume: { code: 8, meaning: 'There is nothing to resume.' },
  waits: {
    code: 9,
    meaning:
      'The job needs attention: it is paused, or batches of it are missing. Continue, resume or cancel it.',
  },
  detached: { code: 130, meaning: 'Ctrl-C: the command has detached; a started job continues.' },
} as const satisfies Record<string, { code: number; meaning: string }>;

export type Exit = keyof typeof EXIT_CODES;

const EXIT_OF_ERROR: Partial<Record<ErrorCode, Exit>> = {
  USAGE_INVALID: 'usage',
  REQUEST_INVALID: 'usage',
  DATASET_UNKNOWN: 'usage',
  SETTING_INVALID: 'usage',
  JOB_UNKNOWN: 'usage',
  REPLAY_UNKNOWN: 'usage',
  SYSTEM_UNREACHABLE: 'notReachable',
  BROKER_UNAVAILABLE: 'notReachable',
  DATABASE_UNAVAILABLE: 'notReachable',
  JOB_ACTIVE: 'alreadyRunning',
  QUESTION_DECLINED: 'cancelled',
  // A refused resumption is a failure: what the job had done is lost. That there is nothing to resume is an answer.
  JOB_NOTHING_TO_RESUME: 'nothingToResume',
};

/** How a command ends that threw. */
export function exitOfError(error: unknown): Exit {
  return (error instanceof SluiceError ? EXIT_OF_ERROR[error.code] : undefined) ?? 'failed';
}

/** A strict job's limit is none. */
const REFUSED_CODES = new Set<string>(['JOB_REFUSED_SHARE', 'STRICT_REFUSED'] satisfies ErrorCode[]);

/** How a command ends that followed a job, to its end or until the job needs attention. */
export function exitOfJob(job: Pick<JobDetail, 'state' | 'error' | 'problem'>): Exit {
  if (needsAttention(job)) return 'waits';
  if (job.state === 'succeeded') return 'success';
  if (job.state === 'cancelled') return 'cancelled';
  return REFUSED_CODES.has(job.error?.code ?? '') ? 'refusedShare' : 'failed';
}

/** The job continues only when an operator continues it; when that will be is not known. */
export function needsAttention({ state, problem }: Pick<JobDetail, 'state' | 'problem'>): boolean {
  return state === 'paused' || (state === 'running' && problem !== null);
}

/** A code as it came over HTTP, made one of ours. */
export function knownErrorCode(code: string): ErrorCode {
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'INTERNAL';
}
