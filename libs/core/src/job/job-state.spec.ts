import { describe, expect, it } from '@jest/globals';
import { JOB_STATES, PAUSE_REASONS } from '#api/job-words.js';
import {
  ACTIVE_STATES,
  FINAL_STATES,
  TRANSITIONS,
  type TransitionName,
  isFinal,
  isInterrupted,
  originsOf,
  targetOf,
} from './job-state.js';

describe('the states of a job', () => {
  it('are either active or final', () => {
    expect([...ACTIVE_STATES, ...FINAL_STATES].sort()).toEqual([...JOB_STATES].sort());
  });

  it('and the reasons to pause are these, of which rows and their checks hold the words', () => {
    expect(ACTIVE_STATES).toEqual(['queued', 'running', 'paused', 'finalizing']);
    expect(FINAL_STATES).toEqual(['succeeded', 'failed', 'cancelled']);
    expect(PAUSE_REASONS).toEqual(['breaker', 'operator', 'schema', 'contract', 'fault']);
  });

  it('change by these transitions, each with its one owner', () => {
    expect(
      TRANSITIONS.map(({ name, from, to, owner }) => `${name}: ${from} → ${to} by the ${owner}`),
    ).toEqual([
      'start: queued → running by the ingestor',
      'failReading: queued → failed by the ingestor',
      'failReading: running → failed by the ingestor',
      'failReading: paused → failed by the ingestor',
      'pauseForContract: running → paused by the ingestor',
      'pauseLoading: running → paused by the loader',
      'failLoading: running → failed by the loader',
      'claimToFinalize: running → finalizing by the loader',
      'succeed: finalizing → succeeded by the loader',
      'failFinalizing: finalizing → failed by the loader',
      'pauseFinalizing: finalizing → paused by the loader',
      'cancel: queued → cancelled by the operator',
      'cancel: running → cancelled by the operator',
      'cancel: paused → cancelled by the operator',
      'cancel: finalizing → cancelled by the operator',
      'pause: running → paused by the operator',
      'continue: paused → running by the operator',
      'continueFromStart: paused → queued by the operator',
      'resume: failed → running by the operator',
      'resumeFromStart: failed → queued by the operator',
    ]);
    expect(TRANSITIONS.filter(({ when }) => when === '')).toEqual([]);
  });

  it('are found by the name of a transition: where it comes from, and where it leads', () => {
    expect(originsOf('failReading')).toEqual(['queued', 'running', 'paused']);
    expect(targetOf('failReading')).toBe('failed');
    expect(targetOf('claimToFinalize')).toBe('finalizing');
    expect(originsOf('fly' as TransitionName)).toEqual([]);
    expect(() => targetOf('fly' as TransitionName)).toThrow('The transition "fly" of a job is not listed.');
  });

  it('are never left once final, but for a failed job that is resumed (JS3)', () => {
    const left = TRANSITIONS.filter(({ from }) => isFinal(from));
    expect(left.map(({ from, to, owner }) => `${from} → ${to} by the ${owner}`)).toEqual([
      'failed → running by the operator',
      'failed → queued by the operator',
    ]);
  });

  it('can all be reached from queued', () => {
    const reached = new Set<string>(['queued']);
    for (let grown = true; grown;) {
      grown = false;
      for (const { from, to } of TRANSITIONS) {
        if (reached.has(from) && !reached.has(to)) grown = Boolean(reached.add(to));
      }
    }
    expect([...reached].sort()).toEqual([...JOB_STATES].sort());
  });

  it('have one owner and one target for each transition, and no transition twice', () => {
    const names = new Set(TRANSITIONS.map(({ name }) => name));
    expect(new Set(TRANSITIONS.map(({ name, to, owner }) => `${name} → ${to} by the ${owner}`)).size).toBe(
      names.size,
    );
    expect(new Set(TRANSITIONS.map(({ name, from }) => `${from}: ${name}`)).size).toBe(TRANSITIONS.length);
  });

  it('call a running job with an expired lease interrupted (JS2)', () => {
    const now = new Date('2026-01-01T00:00:00Z');
    expect(isInterrupted('running', new Date('2025-12-31T23:59:59Z'), now)).toBe(true);
    expect(isInterrupted('running', now, now)).toBe(false);
    expect(isInterrupted('running', new Date('2026-01-01T00:00:01Z'), now)).toBe(false);
    expect(isInterrupted('running', null, now)).toBe(false);
    expect(isInterrupted('queued', new Date(0), now)).toBe(false);
  });
});
