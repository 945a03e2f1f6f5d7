import type { StreamState } from '#api/stream-words.js';
import { SluiceError } from '#common/errors/sluice-error.js';

/**
 * The states of a stream, and for each transition its name and its one owner. PURE.
 *
 *     stopped ─▶ running ◀─▶ paused
 *        ▲          │          │
 *        └─────── draining ◀───┘
 *
 * Invariants
 * - SS1: only functions of this folder write the row of a stream (lint). Each change of the state is one UPDATE that takes
 *   the states it comes from, and the state it leads to, from STREAM_TRANSITIONS.
 * - SS2: a stream makes jobs in `running` and `draining` alone, which is checked in the transaction that makes one: after
 *   the answer to `pause` no job begins.
 */
export type StreamTransitionName = 'start' | 'pause' | 'stand' | 'resume' | 'drain' | 'stop';

interface StreamTransition {
  readonly name: StreamTransitionName;
  readonly from: readonly StreamState[];
  readonly to: StreamState;
  /** The one part of the system that makes this change. */
  readonly owner: 'operator' | 'ingestor';
  readonly when: string;
}

export const STREAM_TRANSITIONS: readonly StreamTransition[] = [
  {
    name: 'start',
    // Again: with other settings.
    from: ['stopped', 'draining', 'running'],
    to: 'running',
    owner: 'operator',
    when: 'started',
  },
  { name: 'pause', from: ['running', 'draining'], to: 'paused', owner: 'operator', when: 'paused' },
  {
    name: 'stand',
    from: ['running', 'draining'],
    to: 'paused',
    owner: 'ingestor',
    when: 'breaker, job, inbox or fault',
  },
  { name: 'resume', from: ['paused'], to: 'running', owner: 'operator', when: 'resumed' },
  {
    name: 'drain',
    from: ['running', 'paused', 'draining'],
    to: 'draining',
    owner: 'operator',
    when: 'asked to take what is there, and to stop then',
  },
  {
    name: 'stop',
    from: ['draining'],
    to: 'stopped',
    owner: 'ingestor',
    when: 'what was there is taken, and every job of it has ended',
  },
];

/** States in which jobs are made of what arrives. */
export const ATTENDED_STATES = ['running', 'draining'] as const satisfies readonly StreamState[];

export function isAttended(state: StreamState): boolean {
  return (ATTENDED_STATES as readonly StreamState[]).includes(state);
}

function transition(name: StreamTransitionName): StreamTransition {
  const found = STREAM_TRANSITIONS.find((one) => one.name === name);
  if (found) return found;
  throw new SluiceError('INTERNAL', `The transition "${name}" of a stream is not listed.`);
}

/** For SET. */
export function streamEntering(name: StreamTransitionName): string {
  const { to } = transition(name);
  const paused = to === 'paused' ? '' : ', reason = NULL, detail = NULL';
  return `state = '${to}', state_since = CASE WHEN state = '${to}' THEN state_since ELSE now() END, wait = NULL${paused}`;
}

/** For WHERE. */
export function streamComingFrom(name: StreamTransitionName): string {
  return `state IN (${transition(name)
    .from.map((state) => `'${state}'`)
    .join(', ')})`;
}
