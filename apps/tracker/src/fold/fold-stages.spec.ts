import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BatchEvent, JobEvent } from '#core/message/status-event.js';
import {
  type JobFact,
  type StageSums,
  batchEventId,
  countDeadLetters,
  eachOnce,
  foldByStage,
  spanEvents,
  sumBatches,
} from './fold-stages.js';
import { anyEvents, shuffled } from '../testing/events.js';

/** A fact store as the database is one: takes a delivery, knows which ids are new, adds what they bring. */
class FactStore {
  private readonly known = new Set<string>();
  private parts: StageSums[] = [];

  take(delivery: readonly JobFact[]): void {
    const batches = delivery.filter((event) => event.type === 'batch');
    const inserted = new Set(batches.map(batchEventId).filter((id) => !this.known.has(id)));
    for (const id of inserted) this.known.add(id);
    this.parts = foldByStage([
      ...this.parts,
      ...sumBatches(eachOnce(batches, inserted)),
      ...spanEvents(delivery),
    ]);
  }

  get sums(): StageSums[] {
    return this.parts;
  }
}

describe('folding status events (G7)', () => {
  it('gives the same sums for any order, any repeats and any cut into deliveries (FS1)', () => {
    fc.assert(
      fc.property(anyEvents(), fc.infiniteStream(fc.nat()), (events, choices) => {
        const inOrder = new FactStore();
        inOrder.take(events);
        const mixed = new FactStore();
        for (const delivery of shuffled(events, choices)) mixed.take(delivery);
        expect(normal(mixed.sums)).toEqual(normal(inOrder.sums));
      }),
    );
  });

  it('keeps the span of announcements made again at other times, in any order (FS2)', () => {
    const first = batchEvent({ at: '2026-01-01T00:00:10.000Z' });
    const again = batchEvent({ at: '2026-01-01T00:00:04.000Z' });
    const span = { firstAt: Date.parse(again.at), lastAt: Date.parse(first.at), batches: 1, records: 7 };
    for (const events of [
      [first, again],
      [again, first],
    ]) {
      const store = new FactStore();
      for (const event of events) store.take([event]);
      expect(store.sums).toMatchObject([span]);
    }
  });

  it('takes the latest step, and of two at one moment always the same (FS3)', () => {
    const steps = [jobEvent('index', 1), jobEvent('swap', 3), jobEvent('settle', 3), jobEvent('copy', 2)];
    for (const events of [steps, [...steps].reverse()]) {
      expect(spanEvents(events)).toMatchObject([{ stage: 'finalize', step: { name: 'swap' } }]);
    }
  });

  it('makes no step of a mere change of state', () => {
    expect(spanEvents([{ ...jobEvent('x', 1), step: null }])).toEqual([]);
  });

  it('adds findings by code, whatever a code is called', () => {
    const named = batchEvent({
      findings: JSON.parse('{"__proto__": 2, "BAD": 1}') as Record<string, number>,
    });
    const [sums] = sumBatches([named, { ...named, batch: 1 }]);
    expect(JSON.stringify(sums?.findings)).toBe('{"__proto__":4,"BAD":2}');
  });

  it('adds up unknown members, and keeps the most frequent ones (FS4)', () => {
    const many = Object.fromEntries(Array.from({ length: 19 }, (_, at) => [`m${at}`, 2]));
    const [sums] = sumBatches([
      batchEvent({ unknownMembers: { ...many, phone: 3, fax: 1 } }),
      batchEvent({ batch: 1, unknownMembers: { phone: 4 } }),
      batchEvent({ batch: 2 }),
    ]);
    expect(Object.keys(sums?.unknownMembers ?? {})).toHaveLength(20);
    expect(sums?.unknownMembers).toMatchObject({ phone: 7, m0: 2 });
    expect(sums?.unknownMembers).not.toHaveProperty('fax');
  });

  it('counts dead letters by job and stage', () => {
    const letters = [letter('validate'), letter('load'), letter('validate')];
    expect(countDeadLetters(letters)).toMatchObject([
      { stage: 'load', deadLetters: 1, batches: 0, firstAt: null },
      { stage: 'validate', deadLetters: 2, batches: 0, firstAt: null },
    ]);
  });
});

const JOB = '01890000-0000-7000-8000-000000000001';

function batchEvent(facts: Partial<BatchEvent>): BatchEvent {
  return {
    type: 'batch',
    dataset: 'shops',
    job: JOB,
    batch: 0,
    stage: 'validate',
    records: 7,
    bytes: 70,
    accepted: 6,
    refused: 1,
    skipped: 0,
    warnings: 0,
    findings: {},
    at: '2026-01-01T00:00:00.000Z',
    ...facts,
  };
}

function jobEvent(step: string, second: number): JobEvent {
  const at = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return { type: 'job', dataset: 'shops', job: JOB, state: 'finalizing', step, at };
}

function letter(stage: 'validate' | 'load'): { job: string; stage: 'validate' | 'load' } {
  return { job: JOB, stage };
}

/** Key order of findings follows the order of arrival, and means nothing. */
function normal(sums: readonly StageSums[]): unknown {
  const sorted = (counts: object): unknown => new Map(Object.entries(counts).sort());
  return sums.map((sum) => ({
    ...sum,
    findings: sorted(sum.findings),
    unknownMembers: sorted(sum.unknownMembers),
  }));
}
