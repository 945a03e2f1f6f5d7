import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type TransactionalRecord, committedOf } from './committed-records.js';

type Step =
  | { readonly kind: 'plain' | 'in transaction'; readonly producer: number }
  | { readonly kind: 'commit' | 'abort'; readonly producer: number };

const FOUR_ZEROS = Buffer.alloc(4);

/** What a partition holds after these steps, which of its messages are committed, and what a broker says is aborted. */
function partitionOf(steps: readonly Step[]): {
  records: TransactionalRecord[];
  committed: string[];
  aborted: { producerId: string; firstOffset: string }[];
} {
  const records: TransactionalRecord[] = [];
  const lost = new Set<string>();
  const aborted: { producerId: string; firstOffset: string }[] = [];
  const open = new Map<number, string[]>();
  steps.forEach(({ kind, producer }, at) => {
    const offset = String(at);
    const isControlRecord = kind === 'commit' || kind === 'abort';
    const key = isControlRecord ? Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1]) : FOUR_ZEROS;
    const batchContext = { producerId: String(producer), inTransaction: kind !== 'plain' };
    records.push({ offset, key, isControlRecord, batchContext });
    const offsets = open.get(producer) ?? [];
    if (kind === 'in transaction') open.set(producer, [...offsets, offset]);
    if (!isControlRecord) return;
    open.delete(producer);
    const [firstOffset] = offsets;
    if (kind !== 'abort' || firstOffset === undefined) return;
    for (const each of offsets) lost.add(each);
    // In the order in which they ended.
    aborted.push({ producerId: String(producer), firstOffset });
  });
  const committed = records
    .filter(({ isControlRecord, offset }) => !isControlRecord && !lost.has(offset))
    .map(({ offset }) => offset);
  return { records, committed, aborted };
}

describe('committedOf', () => {
  const step = fc.record({
    kind: fc.constantFrom('plain' as const, 'in transaction' as const, 'commit' as const, 'abort' as const),
    producer: fc.integer({ min: 0, max: 2 }),
  });

  it('leaves out what aborted transactions sent, and the marks, in any interleaving', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const ended: Step[] = [
          ...steps,
          ...[0, 1, 2].map((producer) => ({ kind: 'commit' as const, producer })),
        ];
        const { records, committed, aborted } = partitionOf(ended);
        expect(committedOf(records, aborted).map(({ offset }) => offset)).toEqual(committed);
      }),
    );
  });

  it('begins with several transactions at once where a fetch begins inside of them', () => {
    const { records, aborted } = partitionOf([
      { kind: 'in transaction', producer: 0 },
      { kind: 'in transaction', producer: 1 },
      { kind: 'in transaction', producer: 0 },
      { kind: 'in transaction', producer: 1 },
      { kind: 'abort', producer: 0 },
      { kind: 'abort', producer: 1 },
    ]);
    expect(committedOf(records.slice(2), aborted)).toEqual([]);
  });
});
