import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { CsvDialect } from '../dataset/csv-dialect.js';
import { createCutter } from '../record/cutter.js';
import { BatchMessages } from '../record/message-table.js';
import type { RawBatch } from '../record/raw-batch.js';
import { walkerOf } from '../record/record-walker.js';
import type { OpenedRaw } from '../raw-log/raw-log-message.js';
import { anyMessages, cutMessages } from '#test/support/record/messages.js';
import { START } from '#test/support/record/cutting.js';
import { beginningOf, behind, chosenRecords, headOfRaw, wholeBatch } from './replayed-batch.js';

const JOB = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';
const BOUNDS = { maxBatchBytes: 60, maxBatchRecords: 4, maxRecordBytes: 40, limitRecords: null } as const;
const DATASET = { name: 'things', format: 'csv', csv: undefined, contractVersion: 2 } as const;

const opened = (batch: RawBatch, contractVersion = 1): OpenedRaw => ({
  ...{ dataset: 'things', job: JOB, epoch: 1, batch, crc32c: 0, format: 'csv', columns: ['a', 'b'] },
  ...{ context: { day: '1', 'sluice:job': JOB }, contractVersion, options: {}, attempt: 0 },
  ...{ place: { topic: 'sluice.things.raw', partition: 1, offset: '7' }, isSealed: true },
});

/** Values as they stand in a file, with line breaks in quotes, and longer than a record may be. */
const anyValue = fc.oneof(
  fc.constantFrom('x', 'x,y', '"a\nb",c', '"a""b"', '', '  '),
  fc.string({ unit: fc.constantFrom('x', ','), minLength: 41, maxLength: 50 }),
);
const anyFile = fc
  .tuple(fc.array(anyValue, { minLength: 1, maxLength: 30 }), fc.boolean())
  .map(([lines, isEnded]) => Buffer.from(lines.join('\n') + (isEnded ? '\n' : '')));

function cutFile(bytes: Buffer): RawBatch[] {
  const cutter = createCutter({ ...BOUNDS, format: 'csv', lineEnd: 'lf' }, { ...START, byte: 5, line: 3 });
  return [...cutter.push(bytes), ...cutter.end()];
}

const cutInbox = (messages: Parameters<typeof cutMessages>[0][number]): RawBatch[] =>
  cutMessages([messages], {
    ...BOUNDS,
    ...{ format: 'csv', lineEnd: 'lf', topic: 'sluice.things.inbox', columns: ['a', 'b'] },
    accepts: () => true,
  });

interface Found {
  readonly record: number;
  readonly line: number;
  readonly text: string;
  readonly isUnreadable: boolean;
}

function recordsOf(batches: readonly RawBatch[], csv?: CsvDialect): Found[] {
  return batches.flatMap((batch) => {
    const walker = walkerOf(batch, { format: 'csv', csv });
    const found: Found[] = [];
    while (walker.next()) {
      const { record, line, bytes } = walker.place();
      found.push({ record, line, text: bytes.toString(), isUnreadable: walker.unreadable !== null });
    }
    return found;
  });
}

/** As LB1 asks of every job. */
function expectContiguous(batches: readonly RawBatch[]): void {
  batches.forEach((batch, at) => {
    const before = batches[at - 1];
    expect(batch.batch).toBe(at);
    if (before !== undefined)
      expect([batch.firstRecord, batch.byteStart]).toEqual([
        before.firstRecord + before.records,
        before.byteEnd,
      ]);
  });
}

describe('whole batches of an earlier job', () => {
  it('are as they were, with their numbers, where none is missing (RW1)', () => {
    fc.assert(
      fc.property(anyFile, (bytes) => {
        const batches = cutFile(bytes);
        const [first] = batches;
        if (first === undefined) return;
        let next = beginningOf(opened(first), true);
        const again = batches.map((batch) => {
          const whole = wholeBatch(opened(batch), DATASET, next);
          next = behind(whole);
          return whole;
        });
        const head = { columns: ['a', 'b'], context: { day: '1' } };
        expect(again).toEqual(batches.map((batch) => ({ ...batch, head })));
      }),
    );
  });

  it('close the gaps where some are missing, and keep records and lines (RW1)', () => {
    fc.assert(
      fc.property(anyFile, fc.infiniteStream(fc.boolean()), (bytes, isThere) => {
        const left = cutFile(bytes).filter(() => isThere.next().value);
        const [first] = left;
        if (first === undefined) return;
        let next = beginningOf(opened(first), true);
        const again = left.map((batch) => {
          const whole = wholeBatch(opened(batch), DATASET, next);
          next = behind(whole);
          return whole;
        });
        expectContiguous(again);
        const facts = (batches: readonly RawBatch[]): unknown =>
          recordsOf(batches).map(({ record: _record, ...rest }) => rest);
        expect(facts(again)).toEqual(facts(left));
      }),
    );
  });

  it('leave out what the earlier job stated of itself (RW2)', () => {
    expect(headOfRaw(opened({} as RawBatch))).toEqual({ columns: ['a', 'b'], context: { day: '1' } });
  });

  it('are refused when the dataset cuts or reads them otherwise now', () => {
    const [batch] = cutFile(Buffer.from('"a\nb",c\nd,e\n'));
    if (batch === undefined) throw new Error('no batch');
    const refused = expect.objectContaining({ code: 'SOURCE_REFUSED' });
    const otherwise = { ...DATASET, csv: { quote: null } as unknown as CsvDialect };
    expect(() => wholeBatch(opened(batch), otherwise, START)).toThrow(refused);
    expect(() => wholeBatch(opened(batch), { ...DATASET, format: 'ndjson' }, START)).toThrow(refused);
    // What the contract in use has cut is not walked through.
    expect(wholeBatch(opened(batch, 2), otherwise, START).records).toBe(2);
  });
});

describe('chosen records of an earlier job', () => {
  const chosen = (batches: readonly RawBatch[], wanted: ReadonlySet<number>): RawBatch[] => {
    let next = START;
    const some: RawBatch[] = [];
    for (const batch of batches) {
      const one = chosenRecords(opened(batch), DATASET, wanted, next);
      if (one === null) continue;
      some.push(one);
      next = behind(one);
    }
    return some;
  };

  it('keep their bytes, and say of which record and line of the file they are (RW3)', () => {
    fc.assert(
      fc.property(anyFile, fc.infiniteStream(fc.boolean()), (bytes, isWanted) => {
        const batches = cutFile(bytes);
        const all = recordsOf(batches);
        const wanted = all.filter(() => isWanted.next().value);
        const some = chosen(batches, new Set(wanted.map(({ record }) => record)));
        expectContiguous(some);
        expect(recordsOf(some).map(({ text, isUnreadable }) => [text, isUnreadable])).toEqual(
          wanted.map(({ text, isUnreadable }) => [text, isUnreadable]),
        );
        const said = some.flatMap((batch) => {
          const messages = new BatchMessages(batch.messages ?? Buffer.alloc(0), batch.batch);
          return Array.from({ length: batch.records }, (_, at) =>
            messages.message(at).headers.map(([, value]) => value?.toString()),
          );
        });
        expect(said).toEqual(wanted.map(({ record, line }) => [`${JOB}:${record}`, String(line)]));
      }),
    );
  });

  it('keep place, key and headers of the messages that they came in (RW3)', () => {
    const value = fc.option(
      anyValue.map((text) => Buffer.from(text)),
      { freq: 6 },
    );
    fc.assert(
      fc.property(anyMessages(value), fc.infiniteStream(fc.boolean()), (messages, isWanted) => {
        const batches = cutInbox(messages);
        const all = recordsOf(batches);
        const wanted = all.filter(() => isWanted.next().value);
        const some = chosen(batches, new Set(wanted.map(({ record }) => record)));
        expectContiguous(some);
        const factsOf = (from: readonly RawBatch[], isChosen: (record: number) => boolean): unknown[] =>
          from.flatMap((batch) => {
            const table = new BatchMessages(batch.messages ?? Buffer.alloc(0), batch.batch);
            return Array.from({ length: batch.records }, (_, at) => {
              const { headers, ...facts } = table.message(at);
              return { ...facts, headers: headers.filter(([name]) => name !== 'dead-letter') };
            }).filter((_, at) => isChosen(batch.firstRecord + at));
          });
        const numbers = new Set(wanted.map(({ record }) => record));
        const expected = factsOf(batches, (record) => numbers.has(record));
        expect(factsOf(some, () => true)).toEqual(expected);
        expect(recordsOf(some).map(({ text, isUnreadable }) => [text, isUnreadable])).toEqual(
          wanted.map(({ text, isUnreadable }) => [text, isUnreadable]),
        );
      }),
    );
  });
});
