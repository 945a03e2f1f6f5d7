import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { pino } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { OutgoingMessage } from '#common/kafka/message.js';
import type { Publisher } from '#common/kafka/transport/publisher.js';
import type { Checkpoint } from '#core/job/job.entity.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import { BatchPublisher, type BatchPublisherOptions } from './batch-publisher.js';

/** SHA-256 over a link of the chain and the next batch, written as in the docstring of `Checkpoint`. */
const link = (before: string, bytes: string): string =>
  createHash('sha256')
    .update(Buffer.concat([Buffer.from(before, 'hex'), Buffer.from(bytes)]))
    .digest('hex');

/** A broker whose acknowledgements of raw batches are given by hand; status events pass at once. */
class HandMadeBroker {
  readonly sent: string[] = [];
  readonly values = new Map<string, string>();
  private readonly waiting = new Map<string, { acknowledge: () => void; lose: (error: Error) => void }>();

  send(messages: readonly OutgoingMessage[]): Promise<void> {
    const [message] = messages;
    if (!message || message.topic === 'sluice.status') return Promise.resolve();
    this.sent.push(message.key);
    this.values.set(message.key, message.value.toString());
    return new Promise((acknowledge, lose) => {
      this.waiting.set(message.key, { acknowledge, lose });
    });
  }

  async acknowledge(batch: number): Promise<void> {
    this.waiting.get(`job:${batch}`)?.acknowledge();
    await settled();
  }

  async lose(batch: number): Promise<void> {
    this.waiting.get(`job:${batch}`)?.lose(new SluiceError('BROKER_UNAVAILABLE', 'no answer'));
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function batch(number: number, text = `record ${number}\n`): RawBatch {
  return {
    batch: number,
    firstRecord: number,
    firstLine: number + 1,
    records: 1,
    lines: 1,
    byteStart: number * 10,
    byteEnd: number * 10 + 10,
    bytes: Buffer.from(text),
    unreadable: [],
  };
}

function publisherFor(broker: HandMadeBroker, options: Partial<BatchPublisherOptions> = {}): BatchPublisher {
  return new BatchPublisher({
    publisher: broker as unknown as Publisher,
    facts: {
      dataset: 'things',
      job: 'job',
      epoch: 1,
      format: 'csv',
      columns: [],
      context: {},
      contractVersion: 1,
      options: {},
      attempt: 0,
    },
    partitions: 3,
    maxInFlight: 4,
    resumeFrom: null,
    beginsThere: false,
    republishFrom: null,
    clearance: () => Promise.resolve(),
    signal: new AbortController().signal,
    logger: pino({ level: 'silent' }),
    onPublished: () => undefined,
    onWaiting: () => undefined,
    ...options,
  });
}

/** Publishes batches 0 … n-1 and returns the checkpoint. */
async function checkpointAfter(count: number): Promise<Checkpoint> {
  const broker = new HandMadeBroker();
  const publisher = publisherFor(broker);
  for (let i = 0; i < count; i++) {
    await publisher.publish(batch(i));
    await broker.acknowledge(i);
  }
  await publisher.drain();
  if (!publisher.checkpoint) throw new Error('no checkpoint');
  return publisher.checkpoint;
}

/** What batches 0 … n-1 are in the topic: key and value. */
const uninterrupted = (count: number): [string, string][] =>
  Array.from({ length: count }, (_, i) => [`job:${i}`, batch(i).bytes.toString()]);

describe('BatchPublisher', () => {
  it('moves the checkpoint only over batches without a gap (BP1)', async () => {
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker);
    for (const number of [0, 1, 2]) await publisher.publish(batch(number));
    await broker.acknowledge(2);
    await broker.acknowledge(1);
    expect(publisher.checkpoint).toBeNull();
    await broker.acknowledge(0);
    expect(publisher.checkpoint).toMatchObject({ nextBatch: 3, byteOffset: 30, nextRecord: 3, nextLine: 4 });
  });

  it('sends again what the brokers did not acknowledge, until they do, and says that it waits (BP2)', async () => {
    const broker = new HandMadeBroker();
    const waits: (string | null)[] = [];
    const publisher = publisherFor(broker, { onWaiting: (reason) => waits.push(reason) });
    await publisher.publish(batch(0));
    await broker.lose(0);
    const drained = publisher.drain();
    while (broker.sent.length < 2) await settled();
    await broker.acknowledge(0);
    await drained;
    expect(broker.sent).toEqual(['job:0', 'job:0']);
    expect(waits).toEqual(['no answer', null]);
    expect(publisher.checkpoint?.nextBatch).toBe(1);
  });

  it('lets no more than N batches wait (BP3)', async () => {
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker, { maxInFlight: 2 });
    await publisher.publish(batch(0));
    await publisher.publish(batch(1));
    const third = publisher.publish(batch(2));
    await settled();
    expect(broker.sent).toEqual(['job:0', 'job:1']);
    await broker.acknowledge(1);
    await third;
    expect(broker.sent).toEqual(['job:0', 'job:1', 'job:2']);
  });

  it('stops when the job is no longer ours', async () => {
    const broker = new HandMadeBroker();
    const ended = new AbortController();
    const publisher = publisherFor(broker, { signal: ended.signal });
    await publisher.publish(batch(0));
    ended.abort(new SluiceError('JOB_LOST', 'cancelled'));
    await broker.lose(0);
    await expect(publisher.drain()).rejects.toMatchObject({ code: 'JOB_LOST' });
  });

  it('publishes nothing without clearance, and continues when it comes (BP5)', async () => {
    const broker = new HandMadeBroker();
    let clear = (): void => undefined;
    const clearance = (): Promise<void> => new Promise((resolve) => (clear = resolve));
    const publisher = publisherFor(broker, { clearance });
    const first = publisher.publish(batch(0));
    await settled();
    expect(broker.sent).toEqual([]);
    clear();
    await first;
    expect(broker.sent).toEqual(['job:0']);
    await broker.acknowledge(0);
  });

  it('has settled only when no batch is under way any more (BP5)', async () => {
    const broker = new HandMadeBroker();
    const ended = new AbortController();
    const publisher = publisherFor(broker, { signal: ended.signal });
    await publisher.publish(batch(0));
    ended.abort(new SluiceError('JOB_LOST', 'cancelled'));
    let isSettled = false;
    const settling = publisher.settle().then(() => (isSettled = true));
    await settled();
    expect(isSettled).toBe(false);
    await broker.acknowledge(0);
    await settling;
  });

  it('chains the batches, so that any end of a prefix can be stored', async () => {
    const first = link('', 'record 0\n');
    expect((await checkpointAfter(1)).chainSha256).toBe(first);
    expect((await checkpointAfter(2)).chainSha256).toBe(link(first, 'record 1\n'));
  });

  it('adds up the checksums of all batches, published now or before (LB4)', async () => {
    const sum = (...texts: string[]): number => texts.reduce((all, text) => all + crc32c(text), 0);
    expect((await checkpointAfter(2)).crc32cSum).toBe(sum('record 0\n', 'record 1\n'));
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker, { resumeFrom: await checkpointAfter(2), beginsThere: true });
    await publisher.publish(batch(2));
    await broker.acknowledge(2);
    expect(publisher.checkpoint?.crc32cSum).toBe(sum('record 0\n', 'record 1\n', 'record 2\n'));
  });

  it('does not publish again what was there before an interruption (BP4)', async () => {
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker, { resumeFrom: await checkpointAfter(2) });
    for (const number of [0, 1, 2]) await publisher.publish(batch(number));
    await broker.acknowledge(2);
    await publisher.drain();
    expect(broker.sent).toEqual(['job:2']);
    expect(publisher.checkpoint).toEqual(await checkpointAfter(3));
  });

  it('continues the chain where the source is read from the checkpoint', async () => {
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker, { resumeFrom: await checkpointAfter(2), beginsThere: true });
    expect(publisher.checkpoint).toEqual(await checkpointAfter(2));
    await publisher.publish(batch(2));
    await broker.acknowledge(2);
    await publisher.drain();
    expect(broker.sent).toEqual(['job:2']);
    expect(publisher.checkpoint).toEqual(await checkpointAfter(3));
  });

  it('never takes the checkpoint back while it proves what was there (BP1)', async () => {
    const resumeFrom = await checkpointAfter(3);
    const publisher = publisherFor(new HandMadeBroker(), { resumeFrom });
    for (const number of [0, 1]) {
      await publisher.publish(batch(number));
      expect(publisher.checkpoint).toEqual(resumeFrom);
    }
  });

  it.each([
    ['other bytes', { bytes: Buffer.from('recorD 0\n') }],
    ['another length of a record that was skipped', { byteEnd: 11 }],
    ['another number of lines', { lines: 2 }],
  ])('refuses to continue with a source that has %s (BP4)', async (_what, change) => {
    const resumeFrom = await checkpointAfter(1);
    const broker = new HandMadeBroker();
    const changed = publisherFor(broker, { resumeFrom });
    await expect(changed.publish({ ...batch(0), ...change })).rejects.toMatchObject({
      code: 'SOURCE_CHANGED',
    });
    expect(broker.sent).toEqual([]);
  });

  it('refuses to continue with a source that has changed in its middle, or is shorter (BP4)', async () => {
    const resumeFrom = await checkpointAfter(3);
    const changed = publisherFor(new HandMadeBroker(), { resumeFrom });
    await changed.publish(batch(0, 'recorD 0\n'));
    await changed.publish(batch(1));
    await expect(changed.publish(batch(2))).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
    const shorter = publisherFor(new HandMadeBroker(), { resumeFrom });
    await shorter.publish(batch(0));
    await expect(shorter.drain()).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
  });

  it('publishes again what is missing, and proves it at the checkpoint (BP4)', async () => {
    const resumeFrom = await checkpointAfter(3);
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker, { resumeFrom, republishFrom: 1 });
    for (const number of [0, 1, 2, 3]) await publisher.publish(batch(number));
    for (const number of [1, 2, 3]) await broker.acknowledge(number);
    await publisher.drain();
    expect(broker.sent).toEqual(['job:1', 'job:2', 'job:3']);
    expect(publisher.checkpoint).toEqual(await checkpointAfter(4));
    expect(publisher.hasUnprovedBatches).toBe(false);

    const changed = publisherFor(broker, { resumeFrom, republishFrom: 1 });
    await changed.publish(batch(0, 'recorD 0\n'));
    expect(changed.hasUnprovedBatches).toBe(false);
    await changed.publish(batch(1));
    await expect(changed.publish(batch(2))).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
    expect(changed.hasUnprovedBatches).toBe(true);
  });

  it('publishes, whatever the interruptions, what an uninterrupted run publishes', async () => {
    /** A run ends N batches later; M acknowledgements have come, the newest first or last. */
    const runs = fc.array(
      fc.record({
        offered: fc.nat(6),
        acknowledged: fc.nat(6),
        newestFirst: fc.boolean(),
        savesCheckpoint: fc.boolean(),
        readsOn: fc.boolean(),
      }),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), runs, async (batches, interruptions) => {
        const arrived = new Map<string, string>();
        let saved: Checkpoint | null = null;
        const run = async (
          last: number,
          readsOn: boolean,
          work: (broker: HandMadeBroker, publisher: BatchPublisher) => Promise<void>,
        ): Promise<void> => {
          const broker = new HandMadeBroker();
          const publisher = publisherFor(broker, {
            maxInFlight: 100,
            resumeFrom: saved,
            beginsThere: readsOn && saved !== null,
          });
          const from = saved?.nextBatch ?? 0;
          for (let i = readsOn ? from : 0; i < last; i++) await publisher.publish(batch(i));
          await work(broker, publisher);
          // Whether acknowledged or not, what was sent has arrived.
          for (const [key, value] of broker.values) arrived.set(key, value);
          const alreadySafe = broker.sent.filter((key) => Number(key.slice('job:'.length)) < from);
          expect(alreadySafe).toEqual([]);
        };
        for (const { offered, acknowledged, newestFirst, savesCheckpoint, readsOn } of interruptions) {
          const last = Math.min(batches, ((saved as Checkpoint | null)?.nextBatch ?? 0) + offered);
          await run(last, readsOn, async (broker, publisher) => {
            const keys = newestFirst ? [...broker.sent].reverse() : broker.sent;
            for (const key of keys.slice(0, acknowledged)) {
              await broker.acknowledge(Number(key.slice('job:'.length)));
            }
            if (savesCheckpoint) saved = publisher.checkpoint;
          });
        }
        await run(batches, interruptions.length % 2 === 0, async (broker, publisher) => {
          for (const key of broker.sent) await broker.acknowledge(Number(key.slice('job:'.length)));
          await publisher.drain();
          expect(publisher.checkpoint).toEqual(await checkpointAfter(batches));
        });
        expect(new Map([...arrived].sort())).toEqual(new Map(uninterrupted(batches).sort()));
      }),
      { numRuns: 200 },
    );
  });
});
