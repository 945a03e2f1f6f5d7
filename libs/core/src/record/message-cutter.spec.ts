import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ReadMessage } from '#common/kafka/message.js';
import { anyDialect, cutChunks, trickySource } from '#test/support/record/cutting.js';
import { INBOX, anyMessages, cutMessages, messageOf } from '#test/support/record/messages.js';
import type { CsvDialect } from '../dataset/csv-dialect.js';
import { MessageTableReader } from './message-table.js';
import type { MessageCuttingOptions } from './message-cutter.js';
import { MessageHeads } from './message-head.js';
import { OVERSIZED_KEPT_BYTES, type RawBatch } from './raw-batch.js';
import { walkerOf } from './record-walker.js';

const CSV: MessageCuttingOptions = {
  format: 'csv',
  topic: INBOX,
  columns: ['a', 'b'],
  accepts: ({ columns }) => columns.every((column) => column === 'a' || column === 'b'),
  maxBatchBytes: 300,
  maxBatchRecords: 7,
  maxRecordBytes: 60,
  limitRecords: null,
};
const JSON_LINES: MessageCuttingOptions = { ...CSV, format: 'ndjson', columns: [] };

interface Found {
  readonly record: number;
  readonly line: number;
  readonly text: string;
  readonly code: string | null;
  readonly columns: readonly string[];
}

/** What validator and loader find in the batches. */
function walked(batches: readonly RawBatch[], options: MessageCuttingOptions): Found[] {
  return batches.flatMap((batch) => {
    const walker = walkerOf(batch, options);
    const found: Found[] = [];
    while (walker.next()) {
      const { unreadable } = walker;
      const isCut = unreadable !== null && unreadable.code === undefined;
      const { record, line, bytes } = walker.place();
      found.push({
        record,
        line,
        text: bytes.toString('latin1'),
        code: unreadable === null ? null : isCut ? 'RECORD_TOO_LARGE' : (unreadable.code ?? null),
        columns: batch.head?.columns ?? [],
      });
    }
    return found;
  });
}

/** The first records of files that begin with these bytes and continue in various ways, by the splitter of files. */
function firstRecords(bytes: Buffer, csv: CsvDialect | undefined): (string | undefined)[] {
  const { delimiter = ',', quote = '"' } = csv ?? {};
  const options = { ...CSV, csv, maxBatchBytes: 1, maxRecordBytes: 1_000_000 };
  const mark = quote ?? '~';
  const continuations = [
    '~\n',
    `${mark}\n`,
    `~${mark}\n`,
    `~${mark}${delimiter}~\n`,
    `${mark}${delimiter}\n`,
  ];
  return continuations.map((behind) =>
    cutChunks([bytes, Buffer.from(behind)], options)[0]?.bytes.toString('latin1'),
  );
}

/** The rule in plain words. */
function expected(
  { value, headers, undecodable }: ReadMessage,
  options: MessageCuttingOptions,
): Pick<Found, 'text' | 'code'> {
  const whole = value?.toString('latin1') ?? '';
  if (undecodable !== undefined) return { text: '', code: 'MESSAGE_UNDECODABLE' };
  if (value === null) return { text: '', code: 'TOMBSTONE' };
  if (value.length > options.maxRecordBytes)
    return {
      text: whole.slice(0, OVERSIZED_KEPT_BYTES).slice(0, options.maxRecordBytes),
      code: 'RECORD_TOO_LARGE',
    };
  const head = new MessageHeads(options).of(headers);
  if (typeof head === 'string') return { text: whole, code: head };
  const record = whole.replace(/\r{0,2}\n$/, '');
  const several = { text: whole, code: 'NOT_ONE_RECORD' };
  if (options.format === 'ndjson') {
    const line = record.replace(/[\r\n]/g, ' ');
    return line.trim() === '' && !/[^ \t]/.test(line) ? several : { text: line, code: null };
  }
  if (/^\r{0,2}$/.test(record)) return several;
  const alone = `${record}\n`;
  if (firstRecords(Buffer.from(alone, 'latin1'), options.csv).some((first) => first !== alone))
    return several;
  return { text: `${record}\n`.replace(/\r{0,2}\n$/, ''), code: null };
}

function tabled(batches: readonly RawBatch[]): ReturnType<MessageTableReader['message']>[] {
  return batches.flatMap((batch) => {
    const reader = new MessageTableReader(batch.messages as Buffer);
    return Array.from({ length: batch.records }, (_, index) => reader.message(index));
  });
}

const jsonValue = fc
  .array(fc.constantFrom('{', '}', '"a"', ':', '1', ' ', '\n', '\r\n', '\r', '\t', '東'), { maxLength: 12 })
  .map((pieces) => Buffer.from(pieces.join('')));

/** Options of both formats, and values in which their marks meet in every way. */
const cases = fc
  .oneof(
    anyDialect().map(({ csv, pieces }) => ({ options: { ...CSV, csv }, value: trickySource(14, pieces) })),
    fc.constant({ options: JSON_LINES, value: jsonValue }),
  )
  .chain(({ options, value }) =>
    fc.record({
      options: fc.constant<MessageCuttingOptions>(options),
      messages: anyMessages(fc.option(value, { freq: 15 })),
      limitRecords: fc.option(fc.integer({ min: 1, max: 20 }), { freq: 5 }),
    }),
  );

describe('cutting messages', () => {
  it('makes of every message one record or one that is unreadable, by the rule in plain words (MC1, MC4)', () => {
    fc.assert(
      fc.property(cases, ({ options, messages }) => {
        const batches = cutMessages([messages], options);
        const found = walked(batches, options);
        expect(found.map(({ text, code }) => ({ text, code }))).toEqual(
          messages.map((message) => expected(message, options)),
        );
        expect(found.map(({ record, line }) => [record, line])).toEqual(
          messages.map((_, at) => [at, at + 1]),
        );
        let byte = 0;
        for (const { byteStart, byteEnd } of batches) {
          expect(byteStart).toBe(byte);
          byte = byteEnd;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps place, time, key and headers of each (MT1, MT2)', () => {
    fc.assert(
      fc.property(cases, ({ options, messages }) => {
        const found = tabled(cutMessages([messages], options));
        expect(
          found.map(({ partition, offset, timestamp, key }) => ({ partition, offset, timestamp, key })),
        ).toEqual(
          messages.map(({ place, timestamp, key }) => ({
            partition: place.partition,
            offset: Number(place.offset),
            timestamp,
            key,
          })),
        );
        expect(found.map(({ headers }) => headers)).toEqual(messages.map(({ headers }) => listed(headers)));
        expect(found.map(({ undecodable }) => undecodable !== null)).toEqual(
          messages.map(({ undecodable }) => undecodable !== undefined),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('gives every batch the head of its messages (MC3)', () => {
    fc.assert(
      fc.property(cases, ({ options, messages }) => {
        const heads = new MessageHeads(options);
        for (const [at, { code, columns }] of walked(cutMessages([messages], options), options).entries()) {
          const head = heads.of(messages[at]?.headers ?? {});
          if (code === null && typeof head !== 'string') expect(columns).toEqual(head.columns);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same batches however the messages come, and from the end of any batch on (MC2)', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 9 }), ({ options, messages, limitRecords }, size) => {
        const limited = { ...options, limitRecords };
        const batches = cutMessages([messages], limited);
        const portions = Array.from({ length: Math.ceil(messages.length / size) }, (_, at) =>
          messages.slice(at * size, (at + 1) * size),
        );
        expect(cutMessages(portions, limited)).toEqual(batches);
        for (const [at, { batch, firstRecord, records, byteEnd }] of batches.entries()) {
          const record = firstRecord + records;
          const from = { batch: batch + 1, record, line: record + 1, byte: byteEnd };
          expect(cutMessages([messages.slice(record)], limited, from)).toEqual(batches.slice(at + 1));
        }
        const count = batches.reduce((sum, { records }) => sum + records, 0);
        expect(count).toBe(Math.min(messages.length, limitRecords ?? Infinity));
      }),
      { numRuns: 300 },
    );
  });

  it('ends a batch with the message that brings it to its size, keys and headers counted (MC3)', () => {
    const options = { ...CSV, maxBatchBytes: 2_000, maxBatchRecords: 1_000, maxRecordBytes: 1_000 };
    const key = Buffer.alloc(480, 'k');
    const messages = Array.from({ length: 9 }, (_, at) => messageOf(at, 'x,y', { key }));
    expect(cutMessages([messages], options).map(({ records }) => records)).toEqual([5, 4]);
    const trace = { trace: Buffer.alloc(480, 't') };
    const traced = messages.map((message, at) => ({
      ...message,
      key: null,
      headers: { ...trace, at: Buffer.from(String(at)) },
    }));
    expect(cutMessages([traced], options).map(({ records }) => records)).toEqual([4, 4, 1]);
    const records = cutMessages([messages], { ...options, maxBatchRecords: 2 }).map((batch) => batch.records);
    expect(records).toEqual([2, 2, 2, 2, 1]);
  });

  it('bounds a batch of empty messages by what its list of them takes (MC3)', () => {
    const messages = Array.from({ length: 1_000 }, (_, at) => messageOf(at, null));
    const batches = cutMessages([messages], { ...CSV, maxBatchBytes: 10_000, maxBatchRecords: 10_000 });
    for (const { unreadable } of batches) expect(JSON.stringify(unreadable).length).toBeLessThan(11_000);
  });

  it('begins a batch where the head changes, and not for messages without a record (MC3)', () => {
    const other = { columns: Buffer.from('b,a') };
    const bad = { columns: Buffer.from('c') };
    const messages = [
      messageOf(0, null),
      messageOf(1, '1,2', { headers: other }),
      messageOf(2, '1,2', { headers: bad }),
      messageOf(3, '3,4', { headers: { columns: Buffer.from('["b", "a"]') } }),
      messageOf(4, '5,6'),
    ];
    const batches = cutMessages([messages], CSV);
    expect(batches.map(({ head, records }) => [head?.columns, records])).toEqual([
      [['b', 'a'], 4],
      [['a', 'b'], 1],
    ]);
    expect(batches[0]?.unreadable.map(({ index, code }) => [index, code])).toEqual([
      [0, 'TOMBSTONE'],
      [2, 'BAD_MESSAGE_HEADER'],
    ]);
  });
});

/** Headers as a table lists them. */
function listed(headers: ReadMessage['headers']): [string, Buffer | null][] {
  return Object.keys(headers).flatMap((name) => {
    const given = headers[name];
    return (Array.isArray(given) ? given : [given ?? null]).map((value): [string, Buffer | null] => [
      name,
      value === null ? null : Buffer.from(value),
    ]);
  });
}
