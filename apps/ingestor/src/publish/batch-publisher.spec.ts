import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { OutgoingMessage } from '#common/kafka/message.js';
import type { Publisher } from '#common/kafka/publisher.js';
import type { Checkpoint } from '#core/job/job.entity.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import { BatchPublisher, type BatchPublisherOptions } from './batch-publisher.js';

/** A broker whose acknowledgements of raw batches are given by hand; status events pass at once. */
class HandMadeBroker {
  readonly sent: string[] = [];
  private readonly waiting = new Map<string, { acknowledge: () => void; lose: (error: Error) => void }>();

  send(messages: readonly OutgoingMessage[]): Promise<void> {
    const [message] = messages;
    if (!message || message.topic === 'sluice.status') return Promise.resolve();
    this.sent.push(message.key);
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
    oversized: [],
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
    signal: new AbortController().signal,
    logger: pino({ level: 'silent' }),
    onPublished: () => undefined,
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

describe('BatchPublisher', () => {
  it('moves the checkpoint only over batches without a gap (P1)', async () => {
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker);
    for (const number of [0, 1, 2]) await publisher.publish(batch(number));
    await broker.acknowledge(2);
    await broker.acknowledge(1);
    expect(publisher.checkpoint).toBeNull();
    await broker.acknowledge(0);
    expect(publisher.checkpoint).toMatchObject({ nextBatch: 3, byteOffset: 30, nextRecord: 3, nextLine: 4 });
  });

  it('sends again what the brokers did not acknowledge, until they do (P2)', async () => {
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker);
    await publisher.publish(batch(0));
    await broker.lose(0);
    const drained = publisher.drain();
    while (broker.sent.length < 2) await settled();
    await broker.acknowledge(0);
    await drained;
    expect(broker.sent).toEqual(['job:0', 'job:0']);
    expect(publisher.checkpoint?.nextBatch).toBe(1);
  });

  it('lets no more than so many batches wait (P3)', async () => {
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

  it('does not publish again what was there before an interruption (P4)', async () => {
    const broker = new HandMadeBroker();
    const publisher = publisherFor(broker, { resumeFrom: await checkpointAfter(2) });
    for (const number of [0, 1, 2]) await publisher.publish(batch(number));
    await broker.acknowledge(2);
    await publisher.drain();
    expect(broker.sent).toEqual(['job:2']);
    expect(publisher.checkpoint).toEqual(await checkpointAfter(3));
  });

  it('refuses to go on with a source that has become another one, or shorter (P4)', async () => {
    const resumeFrom = await checkpointAfter(2);
    const changed = publisherFor(new HandMadeBroker(), { resumeFrom });
    await changed.publish(batch(0, 'recorD 0\n'));
    await expect(changed.publish(batch(1))).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
    const shorter = publisherFor(new HandMadeBroker(), { resumeFrom });
    await shorter.publish(batch(0));
    await expect(shorter.drain()).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
  });
});
