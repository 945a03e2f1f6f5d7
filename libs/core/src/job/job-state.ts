/**
 * The states of a job, and for each transition its one owner. PURE.
 *
 *       ┌──────── resumed ────────────────┐
 *       ▼            ▼                    │
 *     queued ─▶ running ─▶ finalizing ─▶ failed | succeeded
 *       │         │  ▲         │
 *       │         ▼  │         │
 *       │        paused ◀──────┤
 *       └─────────┴────────────┴───────▶ cancelled / failed
 *
 * Invariants
 * - J1: state changes in SQL that names the state it comes from, or under the lock of the job's row; never by a read that
 *   another session can overtake.
 * - J2: `interrupted` is not stored: it is `running` with an expired lease (`isInterrupted`).
 * - J3: `succeeded` and `cancelled` are never left; `failed` only by resuming, and only while the job is
 *   `resumable`: its staging and ledger are still there, and no newer job of the dataset has succeeded.
 */
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

/** States in which a job holds its dataset: the partial unique index of migration 0001 lists the same. */
export const ACTIVE_STATES = [
  'queued',
  'running',
  'paused',
  'finalizing',
] as const satisfies readonly JobState[];
export const FINAL_STATES = ['succeeded', 'failed', 'cancelled'] as const satisfies readonly JobState[];

/**
 * `breaker`: too many records are refused; `operator`: asked for; `schema`: tables or grants have to be mended;
 * `contract`: batches of another version of the dataset; `fault`: an error that Sluice has no word for, again and again.
 */
export const PAUSE_REASONS = ['breaker', 'operator', 'schema', 'contract', 'fault'] as const;
export type PauseReason = (typeof PAUSE_REASONS)[number];
export type TransitionOwner = 'ingestor' | 'loader' | 'operator';

interface Transition {
  readonly from: JobState;
  readonly to: JobState;
  /** The one part of the system that makes this change. */
  readonly owner: TransitionOwner;
  readonly when: string;
}

export const TRANSITIONS: readonly Transition[] = [
  { from: 'queued', to: 'running', owner: 'ingestor', when: 'the source opened and its head is right' },
  { from: 'queued', to: 'failed', owner: 'ingestor', when: 'the source cannot be read or its head is wrong' },
  { from: 'queued', to: 'cancelled', owner: 'operator', when: 'cancelled before it began' },
  { from: 'running', to: 'failed', owner: 'ingestor', when: 'the source broke off for good' },
  { from: 'running', to: 'paused', owner: 'loader', when: 'breaker, schema, contract or fault' },
  { from: 'running', to: 'paused', owner: 'ingestor', when: 'contract: claimed by one of another version' },
  { from: 'running', to: 'paused', owner: 'operator', when: 'paused' },
  {
    from: 'running',
    to: 'failed',
    owner: 'loader',
    when: 'a batch cannot be validated, or came with another content',
  },
  { from: 'paused', to: 'running', owner: 'operator', when: 'continued' },
  {
    from: 'paused',
    to: 'queued',
    owner: 'operator',
    when: 'continued after a pause for its contract: begins again',
  },
  { from: 'paused', to: 'failed', owner: 'ingestor', when: 'the source broke off for good' },
  { from: 'paused', to: 'cancelled', owner: 'operator', when: 'cancelled while paused' },
  { from: 'running', to: 'cancelled', owner: 'operator', when: 'cancelled' },
  {
    from: 'running',
    to: 'finalizing',
    owner: 'loader',
    when: 'totals known, ledger complete, no live lease',
  },
  { from: 'finalizing', to: 'succeeded', owner: 'loader', when: 'G1 and G2 hold and the job is visible' },
  {
    from: 'finalizing',
    to: 'failed',
    owner: 'loader',
    when: 'sums, refused share or shrink limit do not hold',
  },
  { from: 'finalizing', to: 'paused', owner: 'loader', when: 'schema, contract or fault' },
  { from: 'finalizing', to: 'cancelled', owner: 'operator', when: 'cancelled before the swap or merge' },
  { from: 'failed', to: 'queued', owner: 'operator', when: 'resumed, not begun yet' },
  { from: 'failed', to: 'running', owner: 'operator', when: 'resumed' },
];

export function isFinal(state: JobState): boolean {
  return (FINAL_STATES as readonly JobState[]).includes(state);
}

/** A running job whose lease ran out before its source was read to the end. */
export function isInterrupted(state: JobState, leaseUntil: Date | null, now: Date): boolean {
  return state === 'running' && leaseUntil !== null && leaseUntil < now;
}
