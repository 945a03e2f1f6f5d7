import { type ErrorCode, ERROR_CODES } from '#common/errors/error-codes.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { JobDetail } from '#core/job/job-view.js';

/** How `sluice` ends. Distinct, so that a script can tell them apart; docs/cli.md lists exactly these (a test compares). */
export const EXIT_CODES = {
  success: { code: 0, meaning: 'It is done.' },
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
    meaning: 'Another job of the dataset is active.',
  },
  cancelled: { code: 6, meaning: 'The job was cancelled, or the question was not answered with "yes".' },
  findings: { code: 7, meaning: '`check` found errors in the file, or `doctor` found something missing.' },
  detached: { code: 130, meaning: 'Ctrl-C: the command has let go; a started job goes on.' },
} as const satisfies Record<string, { code: number; meaning: string }>;

export type Exit = keyof typeof EXIT_CODES;

const EXIT_OF_ERROR: Partial<Record<ErrorCode, Exit>> = {
  USAGE_INVALID: 'usage',
  REQUEST_INVALID: 'usage',
  DATASET_UNKNOWN: 'usage',
  SETTING_INVALID: 'usage',
  JOB_UNKNOWN: 'usage',
  SYSTEM_UNREACHABLE: 'notReachable',
  BROKER_UNAVAILABLE: 'notReachable',
  DATABASE_UNAVAILABLE: 'notReachable',
  JOB_ACTIVE: 'alreadyRunning',
  QUESTION_DECLINED: 'cancelled',
};

/** How a command ends that threw. */
export function exitOfError(error: unknown): Exit {
  return (error instanceof SluiceError ? EXIT_OF_ERROR[error.code] : undefined) ?? 'failed';
}

/** How a command ends that followed a job to its end. */
export function exitOfJob(job: Pick<JobDetail, 'state' | 'error'>): Exit {
  if (job.state === 'succeeded') return 'success';
  if (job.state === 'cancelled') return 'cancelled';
  return job.error?.code === 'JOB_REFUSED_SHARE' ? 'refusedShare' : 'failed';
}

/** A code as it came over HTTP, made one of ours. */
export function knownErrorCode(code: string): ErrorCode {
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'INTERNAL';
}
