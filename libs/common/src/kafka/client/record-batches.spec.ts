import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { crc32, crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { decodeRecordBatches, undecodableOf } from './record-batches.js';
import type { DecodedRecord } from './record-reader.js';

/** kafkajs's own, which nothing is installed into here. */
const require = createRequire(import.meta.url);
interface Encoded {
  readonly buffer: Buffer;
}
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (
  of: object,
) => Encoded;
const { RecordBatch: encodeBatch } = require('kafkajs/src/protocol/recordBatch/v0/index.js') as {
  RecordBatch: (of: object) => Promise<Encoded>;
};
type KafkajsDecoder = new (bytes: Buffer) => object;
const Decoder = require('kafkajs/src/protocol/decoder.js') as KafkajsDecoder;
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder.js') as (
  decoder: object,
) => Promise<{
  records: object[];
}>;

const CHECKED_FROM = 21;
const noSets = (): Promise<never> => Promise.reject(new TypeError('There are no old messages here.'));
const decode = (bytes: Buffer): Promise<object[]> => decodeRecordBatches(bytes, noSets);

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const record = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  timestampDelta: fc.integer({ min: -5_000, max: 2 ** 30 }),
  headers: fc.dictionary(
    // kafkajs adds what a name inherits from Object to its values.
    fc.string({ unit: 'grapheme', maxLength: 9 }).filter((name) => !(name in {})),
    fc.oneof(bytes, fc.array(bytes, { minLength: 1, maxLength: 3 })),
    { maxKeys: 4 },
  ),
});
const record1 = {
  key: Buffer.from('k'),
  value: Buffer.from('v'),
  timestampDelta: 0,
  headers: {} as Record<string, Buffer | Buffer[]>,
};
const batch = fc.record({
  compression: fc.constantFrom<number>(0, 1),
  firstOffset: fc.nat(2 ** 31 - 1),
  partitionLeaderEpoch: fc.nat(9),
  transactional: fc.boolean(),
  records: fc
    .array(fc.tuple(record, fc.boolean()), { minLength: 1, maxLength: 20 })
    // Many have the headers of the one before.
    .map((given) => {
      let { headers } = record1;
      return given.map(([each, repeats]) => ({
        ...each,
        headers: (headers = repeats ? headers : each.headers),
      }));
    }),
});
type Batch = typeof batch extends fc.Arbitrary<infer T> ? T : never;

async function encoded({ records, ...facts }: Partial<Batch> & Pick<Batch, 'records'>): Promise<Buffer> {
  const { buffer } = await encodeBatch({
    firstTimestamp: 1_790_000_000_123,
    maxTimestamp: 1_790_000_009_123,
    lastOffsetDelta: records.length - 1,
    ...facts,
    records: records.map((each, offsetDelta) => encodeRecord({ ...each, offsetDelta })),
  });
  return buffer;
}

/** Some of a batch's bytes are others now, and its checksum fits them. */
function changed(given: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(given);
  change(copy);
  copy.writeInt32BE(copy.length - 12, 8);
  copy.writeUInt32BE(crc32c(copy.subarray(CHECKED_FROM)), 17);
  return copy;
}

const whole = (firstOffset: number, count = 1, compression = 0): Promise<Buffer> =>
  encoded({ firstOffset, compression, records: Array.from({ length: count }, () => record1) });
const offsetsOf = (messages: object[]): unknown[] =>
  messages.map((message) => {
    const undecodable = undecodableOf(message);
    const { offset } = message as DecodedRecord;
    return undecodable === null ? offset : [undecodable.firstOffset, offset];
  });
const reasonsOf = (messages: object[]): (string | undefined)[] =>
  messages.map((message) => undecodableOf(message)?.reason);

describe('what a fetch brings', () => {
  it('is decoded as kafkajs does, whatever the messages (KB4)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 4 }), async (batches) => {
        let firstOffset = 0;
        const ascending = batches.map(({ firstOffset: gap, ...each }) => {
          firstOffset += gap % 1_000;
          const placed = { ...each, firstOffset };
          firstOffset += each.records.length;
          return placed;
        });
        const all = await Promise.all(ascending.map(encoded));
        const theirs: object[] = [];
        for (const each of all) theirs.push(...(await decodeBatch(new Decoder(each))).records);
        expect(await decode(Buffer.concat(all))).toEqual(theirs);
      }),
      { numRuns: 100 },
    );
  });

  it('ends with the last whole batch', async () => {
    const both = Buffer.concat([await whole(3, 2), await whole(5, 2)]);
    for (const cut of [1, 40, 70]) {
      const messages = await decode(both.subarray(0, both.length - cut));
      expect(offsetsOf(messages)).toEqual(['3', '4']);
    }
    expect(await decode(Buffer.alloc(0))).toEqual([]);
  });

  it('reports a damaged batch with its offsets, and continues behind it (KB1)', async () => {
    const before = await whole(3, 2);
    const damaged = await whole(5, 3);
    damaged.writeUInt8(damaged.readUInt8(70) ^ 1, 70);
    const messages = await decode(Buffer.concat([before, damaged, await whole(8)]));
    expect(offsetsOf(messages)).toEqual(['3', '4', ['5', '7'], '8']);
    expect(messages[2]).toMatchObject({ value: null, headers: {}, isControlRecord: false });
    expect(reasonsOf(messages)[2]).toBe('a batch of offsets 5 to 7 cannot be decoded: its checksum is wrong');
  });

  it.each([
    ['an unknown compression', (copy: Buffer) => copy.writeInt16BE(6, 21), 'in a way that is not known (6)'],
    [
      'a compression that it has not',
      (copy: Buffer) => copy.writeInt16BE(4, 21),
      'cannot be unpacked as zstd',
    ],
    [
      'more records than it can hold',
      (copy: Buffer) => copy.writeInt32BE(2 ** 31 - 1, 57),
      'says that it holds 2147483647 records',
    ],
    [
      'a negative number of records',
      (copy: Buffer) => copy.writeInt32BE(-7, 57),
      'says that it holds -7 records',
    ],
    ['fewer records than it holds', (copy: Buffer) => copy.writeInt32BE(1, 57), 'bytes are left over'],
    [
      'a record that is longer than it',
      (copy: Buffer) => copy.writeUInt8(0x7e, 61),
      'a record of it is cut off',
    ],
    [
      'a key that is longer than its record',
      (copy: Buffer) => copy.writeUInt8(0x7e, 65),
      'a record of it is cut off',
    ],
    ['a length without end', (copy: Buffer) => copy.fill(0xff, 61), 'has more than 32 bits'],
  ])('reports a batch with %s (KB1, KB2)', async (_what, change, reason) => {
    const messages = await decode(Buffer.concat([changed(await whole(5, 2), change), await whole(7)]));
    expect(offsetsOf(messages)).toEqual([['5', '6'], '7']);
    expect(reasonsOf(messages)[0]).toContain(reason);
  });

  it('reports a batch of an unknown format, and one without a length', async () => {
    const unknown = changed(await whole(5), (copy) => copy.writeInt8(9, 16));
    expect(reasonsOf(await decode(unknown))[0]).toContain('its format is 9');
    const endless = await whole(5);
    endless.writeInt32BE(-1, 8);
    expect(reasonsOf(await decode(endless))).toEqual([
      'a batch of offset 5 cannot be decoded: its length is -1',
    ]);
  });

  it('never throws, and loses no offset of the batches around, whatever happens to one (KB1, KB5, KB6, KB7)', async () => {
    const before = await whole(0, 3);
    const after = await whole(9, 2);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 1),
        fc.array(fc.tuple(fc.oneof(fc.nat(30), fc.integer({ min: 0, max: 300 })), fc.nat(255)), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.boolean(),
        fc.boolean(),
        async (compression, changes, hasRightChecksum, isFirst) => {
          const between = await whole(3, 6, compression);
          const change = (copy: Buffer): void => {
            for (const [at, byte] of changes) if (at < copy.length) copy[at] = byte;
          };
          const broken = hasRightChecksum ? changed(between, change) : Buffer.from(between);
          if (!hasRightChecksum) change(broken);
          const messages = await decode(Buffer.concat([...(isFirst ? [] : [before]), broken, after]));
          const offsets = offsetsOf(messages);
          if (!isFirst) expect(offsets.slice(0, 3)).toEqual(['0', '1', '2']);
          expect(offsets.slice(-2)).toEqual(['9', '10']);
          const places = messages.map((message) => Number((message as DecodedRecord).offset));
          expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
        },
      ),
      { numRuns: 600 },
    );
  });

  it('never throws, and brings a message, whatever the bytes (KB5)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (array) => {
        expect((await decode(Buffer.from(array))).length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['too short', 60, 'its checksum is wrong'],
    ['shorter than a head', 20, 'its head is cut off'],
    ['shorter than any batch', 13, 'its length is 13'],
    ['0', 0, 'its length is 0'],
    ['negative', -5, 'its length is -5'],
    ['the least of all', -(2 ** 31), 'its length is -2147483648'],
    ['too long', 80, 'its checksum is wrong'],
    ['beyond what was sent', 100_000, 'its length is 100000, of which 146 were sent'],
    ['the largest of all', 2 ** 31 - 1, 'its length is 2147483647, of which 146 were sent'],
  ])('reports a batch whose length is %s, and continues behind it (KB6)', async (_what, length, reason) => {
    const damaged = await whole(5, 2);
    damaged.writeInt32BE(length, 8);
    const messages = await decode(Buffer.concat([await whole(3, 2), damaged, await whole(7, 2)]));
    expect(offsetsOf(messages)).toEqual(['3', '4', ['5', '6'], '7', '8']);
    expect(reasonsOf(messages)[2]).toContain(reason);
  });

  it('reports a first batch that is not whole: brokers send it whole, or nothing (KB5)', async () => {
    const batch = await whole(5, 2);
    for (const cut of [1, 10, 40, 70]) {
      const messages = await decode(batch.subarray(0, batch.length - cut));
      expect(offsetsOf(messages)).toEqual([['5', cut > 10 ? '5' : '6']]);
      expect(reasonsOf(messages)[0]).toMatch(/of which \d+ were sent|its head is cut off/);
    }
    expect(offsetsOf(await decode(batch.subarray(0, 5)))).toEqual([['0', '0']]);
  });

  it('does not take for a batch what a value of the last one holds (KB6)', async () => {
    const value = Buffer.concat([await whole(9), Buffer.alloc(200)]);
    const last = await encoded({ firstOffset: 5, records: [{ ...record1, value }] });
    const messages = await decode(Buffer.concat([await whole(3, 2), last.subarray(0, last.length - 9)]));
    expect(offsetsOf(messages)).toEqual(['3', '4']);
  });

  it('takes two damaged batches in a row for one, and continues behind both (KB6)', async () => {
    const damage = (copy: Buffer): Buffer => copy.fill(1, 62, 66);
    const middle = [damage(await whole(5, 2)), damage(await whole(7, 2))];
    const messages = await decode(Buffer.concat([await whole(4), ...middle, await whole(9)]));
    expect(offsetsOf(messages)).toEqual(['4', ['5', '6'], '9']);
  });

  it('continues behind a stretch of zeros, and names its offsets by those around it (KB6, KB7)', async () => {
    const zeros = Buffer.alloc(4_096);
    const messages = await decode(Buffer.concat([await whole(3, 2), zeros, await whole(2 ** 31 - 9)]));
    expect(offsetsOf(messages)).toEqual(['3', '4', ['5', '2147483638'], '2147483639']);
  });

  it.each([
    ['before what was there', 2n, 'its offsets are not behind those before it'],
    ['below 0', -7n, 'its offsets are not behind those before it'],
    ['behind the next batch', 2n ** 40n, 'its offsets are those of the batch behind it'],
    ['in the next batch', 6n, 'its offsets are those of the batch behind it'],
  ])('believes no first offset that is %s (KB7)', async (_what, first, reason) => {
    const moved = await whole(5, 2);
    moved.writeBigInt64BE(first, 0);
    const messages = await decode(Buffer.concat([await whole(3, 2), moved, await whole(7)]));
    expect(offsetsOf(messages)).toEqual(['3', '4', ['5', '6'], '7']);
    expect(reasonsOf(messages)[2]).toContain(reason);
  });

  it('believes no number of offsets that nothing vouches for (KB7)', async () => {
    const damaged = await whole(5, 2);
    damaged.writeInt32BE(2 ** 30, 23);
    expect(offsetsOf(await decode(damaged))).toEqual([['5', '5']]);
    expect(offsetsOf(await decode(Buffer.concat([damaged, await whole(7)])))).toEqual([['5', '6'], '7']);
  });

  it('believes no offset of a record that is outside its batch (KB7)', async () => {
    const delta = changed(await whole(5, 2), (copy) => copy.writeUInt8(120, 64));
    expect(reasonsOf(await decode(delta))[0]).toContain('a record of it has an offset that is not its own');
  });

  it('does not unpack more than it is bounded by (KB2)', async () => {
    const bomb = changed(await whole(5, 1, 1), () => undefined);
    const inside = Buffer.concat([bomb.subarray(0, 61), gzipSync(Buffer.alloc(17 * 1024 * 1024))]);
    const messages = await decode(changed(inside, () => undefined));
    expect(reasonsOf(messages)).toEqual([
      'a batch of offset 5 cannot be decoded: it cannot be unpacked as gzip: it unpacks to more than 16777216 bytes',
    ]);
  });

  it.each<[string, { firstOffset?: number; firstTimestamp?: number; maxTimestamp?: number }]>([
    ['offsets', { firstOffset: 2 ** 53 - 2 }],
    ['times', { firstTimestamp: 2 ** 53 - 2, maxTimestamp: 2 ** 53 }],
    ['times before 1970', { firstTimestamp: -3, maxTimestamp: 5 }],
  ] as const)('counts %s exactly, also where no number does', async (_what, given) => {
    const facts: { firstOffset?: number; firstTimestamp?: number; maxTimestamp?: number } = given;
    const deltas = [0, 1, 2, 3, 300, 2 ** 31, 2 ** 40];
    const records = deltas.map((timestampDelta) => ({ ...record1, timestampDelta }));
    const found = (await decode(await encoded({ firstOffset: 7, ...facts, records }))) as DecodedRecord[];
    const [offset, time] = [facts.firstOffset ?? 7, facts.firstTimestamp ?? 1_790_000_000_123].map(BigInt);
    expect(found.map(({ offset: at, timestamp }) => [at, timestamp])).toEqual(
      deltas.map((delta, nth) => [
        String((offset ?? 0n) + BigInt(nth)),
        String((time ?? 0n) + BigInt(delta)),
      ]),
    );
  });

  it('gives records with the same headers one object, also headers that were given several times', async () => {
    const [a, b] = [{ a: [Buffer.from('1'), Buffer.from('2')] }, { a: Buffer.from('1') }];
    const records = [a, { ...a }, b, a].map((headers) => ({ ...record1, headers }));
    const found = (await decode(await encoded({ firstOffset: 0, records }))) as DecodedRecord[];
    expect(found.map(({ headers }) => headers)).toEqual([a, a, b, a]);
    expect(found[1]?.headers).toBe(found[0]?.headers);
  });

  it('counts repeated headers against what memory has room for (KB2)', async () => {
    const headers = Object.fromEntries(Array.from({ length: 100 }, (_, nth) => [`h${nth}`, Buffer.alloc(0)]));
    const of = (count: number) => Array.from({ length: count }, () => ({ ...record1, headers }));
    const [fits, over] = [4_000, 4_001].map((count) => encoded({ firstOffset: 0, records: of(count) }));
    expect(await decode((await fits) ?? Buffer.alloc(0))).toHaveLength(4_000);
    const found = await decode((await over) ?? Buffer.alloc(0));
    expect(reasonsOf(found)[0]).toContain('a record of it has too many headers');
  });

  it('takes no batch of more records or headers than memory has room for (KB2)', async () => {
    const head = (await whole(0)).subarray(0, 61);
    const records = changed(Buffer.concat([head, Buffer.alloc(800_000)]), (copy) => {
      copy.writeInt32BE(100_001, 57);
    });
    // Its length, nothing but its number of headers, zigzag as every number in it, and empty ones.
    const body = Buffer.concat([Buffer.from([0, 0, 0, 1, 1, 0x82, 0xea, 0x30]), Buffer.alloc(800_002)]);
    const headers = changed(Buffer.concat([head, Buffer.from([0x94, 0xd4, 0x61]), body]), () => undefined);
    expect(reasonsOf(await decode(records))[0]).toContain('it holds 100001 records, and 100000 are allowed');
    expect(reasonsOf(await decode(headers))[0]).toContain('a record of it has too many headers');
  });

  it('leaves for the next fetch what would be too much at once (KB3)', async () => {
    const large = { ...record1, value: Buffer.alloc(3 * 1024 * 1024) };
    const batches = await Promise.all(
      [0, 1, 2, 3].map((firstOffset) => encoded({ firstOffset, compression: 1, records: [large] })),
    );
    expect(offsetsOf(await decode(Buffer.concat(batches)))).toEqual(['0', '1']);
    expect(offsetsOf(await decode(Buffer.concat(batches.slice(2))))).toEqual(['2', '3']);
  });

  it('moves on over a batch whose records are all gone', async () => {
    const empty = changed((await whole(5, 3)).subarray(0, 61), (copy) => copy.writeInt32BE(0, 57));
    expect(await decode(empty)).toMatchObject([{ offset: '7', isControlRecord: true }]);
  });

  it('hands old message sets to kafkajs one by one, and reports those that it cannot decode', async () => {
    const old = (offset: number, magic: number): Buffer => {
      const message = Buffer.alloc(12 + 20);
      message.writeBigInt64BE(BigInt(offset), 0);
      message.writeInt32BE(20, 8);
      message.writeInt8(magic, 16);
      message.writeUInt32BE(crc32(message.subarray(16)), 12);
      return message;
    };
    const messages = await decodeRecordBatches(
      Buffer.concat([old(4, 0), old(5, 1), old(6, 1), await whole(7)]),
      (set) => {
        const offset = set.readBigInt64BE(0).toString();
        return offset === '5' ? Promise.reject(new Error('no')) : Promise.resolve([{ offset }]);
      },
    );
    expect(offsetsOf(messages)).toEqual(['4', ['5', '5'], '6', '7']);
  });
});
