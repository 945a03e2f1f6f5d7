import { describe, expect, it } from '@jest/globals';
import { ACTIVE_STATES, FINAL_STATES, JOB_STATES, TRANSITIONS, isFinal, isInterrupted } from './job-state.js';

describe('the states of a job', () => {
  it('are either active or final', () => {
    expect([...ACTIVE_STATES, ...FINAL_STATES].sort()).toEqual([...JOB_STATES].sort());
  });

  it('are never left once final, but for a failed job that is resumed (J3)', () => {
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

  it('call a running job with an expired lease interrupted (J2)', () => {
    const now = new Date('2026-01-01T00:00:00Z');
    expect(isInterrupted('running', new Date('2025-12-31T23:59:59Z'), now)).toBe(true);
    expect(isInterrupted('running', null, now)).toBe(false);
    expect(isInterrupted('queued', new Date(0), now)).toBe(false);
  });
});
