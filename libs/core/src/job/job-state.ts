import type { JobState } from '#api/job-words.js';
import { SluiceError } from '#common/errors/sluice-error.js';

/**
 * The states of a job, and for each transition its name and its one owner. PURE.
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
 * - JS1: only functions of this folder write the job row (lint). Each change of the state is one UPDATE that takes the
 *   states it comes from, and the state it leads to, from TRANSITIONS (`state-change.ts`); it never trusts a read that
 *   another session can overtake. `transitions.medium-spec.ts` runs each of them from every state.
 * - JS2: `interrupted` is not stored: it is `running` with an expired lease (`isInterrupted`).
 * - JS3: `succeeded` and `cancelled` are never left; `failed` only by resuming, and only while the job is
 *   `resumable`: its staging and ledger are still there, and no newer job of the dataset has made it pointless
 *   (`newer-success.ts`). That is checked under the lock of the job's row (`operator.repository.ts`), before the transition.
 */

/** States in which a job excludes others of its dataset (`lanes.ts`): the partial index `job_active` lists the same. */
export const ACTIVE_STATES = [
  'queued',
  'running',
  'paused',
  'finalizing',
] as const satisfies readonly JobState[];
export const FINAL_STATES = ['succeeded', 'failed', 'cancelled'] as const satisfies readonly JobState[];

export type TransitionOwner = 'ingestor' | 'loader' | 'operator';

/** One function each, in `ingestor-transitions.ts`, `loader-transitions.ts` and `operator-transitions.ts`. */
export type TransitionName =
  | 'start'
  | 'failReading'
  | 'pauseForContract'
  | 'pauseLoading'
  | 'failLoading'
  | 'claimToFinalize'
  | 'succeed'
  | 'failFinalizing'
  | 'pauseFinalizing'
  | 'cancel'
  | 'pause'
  | 'continue'
  | 'continueFromStart'
  | 'resume'
  | 'resumeFromStart';

interface Transition {
  /** A transition may come from several states; it leads to one. */
  readonly name: TransitionName;
  readonly from: JobState;
  readonly to: JobState;
  /** The one part of the system that makes this change. */
  readonly owner: TransitionOwner;
  readonly when: string;
}

export const TRANSITIONS: readonly Transition[] = [
  {
    name: 'start',
    from: 'queued',
    to: 'running',
    owner: 'ingestor',
    when: 'the source opened and its head is right',
  },
  {
    name: 'failReading',
    from: 'queued',
    to: 'failed',
    owner: 'ingestor',
    when: 'the source cannot be read or its head is wrong',
  },
  {
    name: 'failReading',
    from: 'running',
    to: 'failed',
    owner: 'ingestor',
    when: 'the source broke off for good',
  },
  {
    name: 'failReading',
    from: 'paused',
    to: 'failed',
    owner: 'ingestor',
    when: 'the source broke off for good',
  },
  {
    name: 'pauseForContract',
    from: 'running',
    to: 'paused',
    owner: 'ingestor',
    when: 'contract: claimed by one of another version',
  },
  {
    name: 'pauseLoading',
    from: 'running',
    to: 'paused',
    owner: 'loader',
    when: 'breaker, schema, contract or fault',
  },
  {
    name: 'failLoading',
    from: 'running',
    to: 'failed',
    owner: 'loader',
    when: 'a batch cannot be validated, or came with another content',
  },
  {
    name: 'claimToFinalize',
    from: 'running',
    to: 'finalizing',
    owner: 'loader',
    when: 'totals known, ledger complete, no live lease',
  },
  {
    name: 'succeed',
    from: 'finalizing',
    to: 'succeeded',
    owner: 'loader',
    when: 'G1 and G2 hold and the job is visible',
  },
  {
    name: 'failFinalizing',
    from: 'finalizing',
    to: 'failed',
    owner: 'loader',
    when: 'sums, refused share or shrink limit do not hold',
  },
  {
    name: 'pauseFinalizing',
    from: 'finalizing',
    to: 'paused',
    owner: 'loader',
    when: 'schema, contract or fault',
  },
  { name: 'cancel', from: 'queued', to: 'cancelled', owner: 'operator', when: 'cancelled before it began' },
  { name: 'cancel', from: 'running', to: 'cancelled', owner: 'operator', when: 'cancelled' },
  { name: 'cancel', from: 'paused', to: 'cancelled', owner: 'operator', when: 'cancelled while paused' },
  {
    name: 'cancel',
    from: 'finalizing',
    to: 'cancelled',
    owner: 'operator',
    when: 'cancelled before the swap or merge',
  },
  { name: 'pause', from: 'running', to: 'paused', owner: 'operator', when: 'paused' },
  { name: 'continue', from: 'paused', to: 'running', owner: 'operator', when: 'continued' },
  {
    name: 'continueFromStart',
    from: 'paused',
    to: 'queued',
    owner: 'operator',
    when: 'continued after a pause for its contract: begins again',
  },
  { name: 'resume', from: 'failed', to: 'running', owner: 'operator', when: 'resumed' },
  {
    name: 'resumeFromStart',
    from: 'failed',
    to: 'queued',
    owner: 'operator',
    when: 'resumed; it had not begun yet, or begins again',
  },
];

/** The states that a transition may come from. */
export function originsOf(name: TransitionName): readonly JobState[] {
  return TRANSITIONS.filter((transition) => transition.name === name).map(({ from }) => from);
}

/** The state that a transition leads to. */
export function targetOf(name: TransitionName): JobState {
  const transition = TRANSITIONS.find((one) => one.name === name);
  if (transition) return transition.to;
  throw new SluiceError('INTERNAL', `The transition "${name}" of a job is not listed.`);
}

export function isFinal(state: JobState): boolean {
  return (FINAL_STATES as readonly JobState[]).includes(state);
}

/** A running job whose lease ran out before its source was read to the end. */
export function isInterrupted(state: JobState, leaseUntil: Date | null, now: Date): boolean {
  return state === 'running' && leaseUntil !== null && leaseUntil < now;
}
