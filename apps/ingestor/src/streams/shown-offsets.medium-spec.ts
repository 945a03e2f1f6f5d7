import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { withAdmin } from '#common/kafka/transport/topics-admin.js';
import { eventually } from '#test/support/eventually.js';
import { Streaming } from '#test/support/streaming.js';
import { streamGroup } from './shown-offsets.js';

describe('offsets that tools see', () => {
  let streaming: Streaming;

  beforeAll(async () => {
    streaming = await Streaming.start();
  });
  afterAll(() => streaming.stop());
  beforeEach(() => streaming.renew());

  /** By partition; -1 where nothing was committed. */
  const shown = (): Promise<Record<string, string>> =>
    withAdmin(streaming.kafka, async (admin) => {
      const [topic] = await admin.fetchOffsets({
        groupId: streamGroup(streaming.name),
        topics: [streaming.topic],
      });
      return Object.fromEntries(
        (topic?.partitions ?? []).map(({ partition, offset }) => [partition, offset]),
      );
    });
  const untilShown = (offsets: Record<string, string>): Promise<unknown> =>
    eventually(
      // The coordinator of a group that is new is not there at once.
      async () => JSON.stringify(await shown().catch(() => null)) === JSON.stringify(offsets),
      `the group to have ${JSON.stringify(offsets)}`,
      60_000,
    );

  it('are those of the stream: while it runs, and at its end at once', async () => {
    await streaming.send(0, 'a', 'b', 'c');
    await streaming.send(2, 'd');
    await streaming.startStream();
    const first = await streaming.ingestor();
    await untilShown({ 0: '3', 1: '0', 2: '1' });
    await streaming.send(1, 'e', 'f');
    await streaming.untilTaken(['a', 'b', 'c', 'd', 'e', 'f']);
    first?.drain.abort(new Error('ends'));
    await first?.ended;
    expect(await shown()).toEqual({ 0: '3', 1: '2', 2: '1' });
  });

  it('mean nothing to the stream: it continues at its own position', async () => {
    await streaming.send(0, 'a', 'b');
    await streaming.startStream();
    const first = await streaming.ingestor();
    await streaming.untilTaken(['a', 'b']);
    first?.drain.abort(new Error('ends'));
    await first?.ended;
    await withAdmin(streaming.kafka, (admin) =>
      admin.setOffsets({
        groupId: streamGroup(streaming.name),
        topic: streaming.topic,
        partitions: [{ partition: 0, offset: '0' }],
      }),
    );
    await streaming.send(0, 'c');
    await streaming.ingestor('two');
    await streaming.untilTaken(['a', 'b', 'c']);
    await untilShown({ 0: '3', 1: '0', 2: '0' });
  });
});
