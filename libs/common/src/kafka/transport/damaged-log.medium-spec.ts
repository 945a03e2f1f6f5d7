import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ServingHarness, textsOf } from '#test/support/batch-serving.js';
import { damageLog, storedBatches } from '#test/support/damaged-log.js';
import { eventually } from '#test/support/eventually.js';
import { type OwnKafka, startKafkaBroker } from '#test/support/kafka.js';
import { readMessages } from './message-reader.js';
import { withAdmin } from './topics-admin.js';

/** Each batch has its own entry in the broker's index (index.interval.bytes), as batches of ours do. */
const BATCH_BYTES = 5_000;

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** Places of fields in a batch, and what is written over them. */
const LENGTH = 8;
const LAST_OFFSET_DELTA = 23;
const COUNT = 57;
const RECORD = 61;

describe('a segment file that has gone bad under a real broker', () => {
  let broker: OwnKafka;
  let harness: ServingHarness;
  let seen: string[];

  beforeAll(async () => {
    broker = await startKafkaBroker();
    harness = await ServingHarness.start(Promise.resolve(broker));
  });

  afterAll(() => harness.stop());

  beforeEach(async () => {
    await harness.begin();
    seen = [];
    harness.onDelivery = (delivery) => {
      seen.push(...textsOf(delivery).map((text) => text.slice(0, 1)));
      return Promise.resolve();
    };
  });

  afterEach(() => harness.closeServers());

  /** One batch for each character, in partition 0. */
  async function write(letters: string): Promise<void> {
    for (const letter of letters) await harness.send(0, letter.repeat(BATCH_BYTES));
  }

  /** Writes over a field of the batch with this offset. */
  function damage(offset: bigint, field: number, bytes: Buffer): void {
    const { topic } = harness;
    const batch = storedBatches(broker.dataFolder, topic, 0).find(
      ({ firstOffset }) => firstOffset === offset,
    );
    damageLog(broker.dataFolder, { topic, partition: 0, at: batch!.at + field }, bytes);
  }

  const committed = async (offset: number): Promise<boolean> =>
    (await harness.committedOffsets()).get(0) === offset;

  it.each([
    ['one byte', RECORD + 100, Buffer.from('!')],
    ['a length that is too short', LENGTH, int32(1_000)],
    ['a length of 0', LENGTH, int32(0)],
    ['a negative length', LENGTH, int32(-5)],
    ['a length that is too long', LENGTH, int32(7_000)],
    ['a length beyond the end of the file', LENGTH, int32(2 ** 30)],
    ['a number of records', COUNT, int32(2 ** 30)],
    ['a number of offsets', LAST_OFFSET_DELTA, int32(2 ** 30)],
    ['the length of a record', RECORD, Buffer.alloc(4, 0xff)],
    ['a first offset far ahead', 0, int32(1)],
  ])('%s: the batch is parked with its offset, and those behind it are read', async (_what, field, bytes) => {
    await write('abcd');
    damage(1n, field, bytes);
    const server = await harness.startServer();
    await eventually(() => committed(4), 'offset 4');
    expect(seen).toEqual(['a', 'c', 'd']);
    expect(harness.parked).toMatchObject([{ topic: harness.topic, partition: 0, offset: '1' }]);
    expect(harness.parked[0]!.reason).toMatch(/^a batch of offset 1 cannot be decoded: its /);
    expect(server.health.notReady()).toEqual([]);
  });

  it.each([
    [
      'answers with CORRUPT_MESSAGE',
      int32(-5),
      'the brokers cannot read it from their disks (CORRUPT_MESSAGE)',
    ],
    ['skips it', int32(2 ** 30), 'the brokers answer with nothing, and say that the partition ends at 4'],
  ])(
    'a broker that %s: the partition waits with words until its records are deleted',
    async (_what, length, words) => {
      await write('a');
      await harness.startServer();
      await eventually(() => committed(1), 'offset 1');
      await harness.closeServer();
      await write('bcd');
      damage(1n, LENGTH, length);
      const server = await harness.startServer();
      const waits = (): string => server.health.notReady().join('\n');
      await eventually(() => waits().includes(`${harness.topic}/0`), 'a named wait');
      expect(waits()).toContain(`a batch of offset 1 is not sent: ${words}`);
      await harness.send(1, 'other');
      await eventually(() => seen.includes('o'), 'a message of the other partition');
      await expect(
        readMessages(harness.kafka, [{ topic: harness.topic, partition: 0, offset: '1' }], () =>
          Promise.resolve(),
        ),
      ).rejects.toMatchObject({ code: 'BROKER_FAULT', message: expect.stringContaining(words) });
      expect(server.health.notLive()).toEqual([]);
      expect(harness.parked).toEqual([]);
      // What an operator does when no replica has it.
      await withAdmin(harness.kafka, async (admin) => {
        await admin.fetchTopicOffsets(harness.topic);
        await admin.deleteTopicRecords({
          topic: harness.topic,
          partitions: [{ partition: 0, offset: '2' }],
        });
      });
      await eventually(() => committed(4), 'offset 4');
      expect(seen.filter((letter) => letter !== 'o')).toEqual(['a', 'c', 'd']);
      expect(server.health.notReady()).toEqual([]);
    },
  );
});
