/** The closed lists of words that say how a job stands: in the API, in events and in the job row alike. */

export const JOB_STATES = [
  'queued',
  'running',
  'paused',
  'finalizing',
  'succeeded',
  'failed',
  'cancelled',
] as const;
export type JobState = (typeof JOB_STATES)[number];

/**
 * `breaker`: too many records are refused; `operator`: asked for; `schema`: tables or grants have to be fixed;
 * `contract`: batches of another version of the dataset; `fault`: an error that Sluice has no word for, again and again.
 */
export const PAUSE_REASONS = ['breaker', 'operator', 'schema', 'contract', 'fault'] as const;
export type PauseReason = (typeof PAUSE_REASONS)[number];

/** The stages of a job, in order. */
export const STAGES = ['ingest', 'validate', 'load', 'finalize'] as const;
export type Stage = (typeof STAGES)[number];

export const WAIT_STAGES = [...STAGES, 'announce'] as const;
export type WaitStage = (typeof WAIT_STAGES)[number];

/** The closed list, with what each means; docs/operations.md lists exactly these (a test compares). */
export const WAIT_CODES = {
  STAGE_BEHIND:
    'Messages wait in the topic of the stage, and its consumer group has handled none for a while.',
  SERVER_AWAY: 'PostgreSQL or Kafka does not answer, or has no room; the step is tried again.',
  TRYING_AGAIN:
    'A step failed in a way that is not known; it is tried a few times more before the job is paused.',
  SESSIONS_IN_THE_WAY: 'Other sessions hold locks or snapshots that the step has to wait for.',
  SLOT_TAKEN: 'The loader finalizes as many jobs at once as it may.',
  DATASET_BUSY:
    'Another job of the dataset is finalized; jobs of one dataset become visible one after the other.',
  PREDECESSOR_ACTIVE: 'A job that has to end before it has not ended.',
  PREDECESSOR_FAILED:
    'A job that has to end before it has failed and can be resumed: resume or discard that one.',
  OUTBOX_BEHIND: 'Refused records of the job, or its end, are not yet in the topics.',
} as const;
export type WaitCode = keyof typeof WAIT_CODES;

/** How a complete job becomes visible. */
export type WriteMode = 'replace' | 'append' | 'upsert';

/** What `append` does with a record whose key is in the table: skips it, or fails the job. */
export type ExistingKeys = 'supersede' | 'fail';

/**
 * What a finding is about, for reports, metrics and decisions: the code says what is wrong, the category where to look.
 *
 * - `structure`: the record is not of its format, or its fields are not those that the contract reads
 * - `value`: one value by itself: missing, too long, not of its kind, or against a rule on it
 * - `rule`: values of one record that do not go together (`@SumOf`, `@PairedWith`, a rule of the dataset's own across columns)
 * - `key`: the record's key stands elsewhere too
 * - `reference`: what the record refers to is not there
 * - `database`: PostgreSQL, or what keeps the record, gave the reason
 */
export const FINDING_CATEGORIES = ['structure', 'value', 'rule', 'key', 'reference', 'database'] as const;
export type FindingCategory = (typeof FINDING_CATEGORIES)[number];
