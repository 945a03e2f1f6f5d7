import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Streaming } from '#test/support/streaming.js';
import { InboxReader } from './inbox-reader.js';

describe('InboxReader on a real broker', () => {
  let streaming: Streaming;
  const never = new AbortController().signal;

  beforeAll(async () => {
    streaming = await Streaming.start();
  });
  afterAll(() => streaming.stop());
  beforeEach(() => streaming.renew());

  it('keeps an answer that comes after the wait for the next call, and moves with that call (IR3)', async () => {
    const reader = await InboxReader.open(streaming.kafka, streaming.topic);
    try {
      reader.readFrom({}, await reader.ends());
      // Nothing is there to be answered with yet.
      expect(await reader.fetch(0, never)).toEqual([]);
      await streaming.send(0, 'a', 'b');
      // Answered after the question that is under way.
      for (let round = 0; round < 5; round++) await reader.ends();
      expect(reader.next['0']).toEqual({ next: 0 });
      let messages = await reader.fetch(1_000, never);
      while (messages.length === 0) messages = await reader.fetch(1_000, never);
      expect(messages.map(({ message }) => String(message.value))).toEqual(['a', 'b']);
      expect(reader.next['0']).toEqual({ next: 2 });
    } finally {
      await reader.close();
    }
  });
});
