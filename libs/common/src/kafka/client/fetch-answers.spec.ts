import { describe, expect, it } from '@jest/globals';
import { type FetchAnswer, withTroublesInPlace } from './fetch-answers.js';
import { undecodableOf } from './record-batches.js';

const TOPIC = 'sluice.things.raw';
const request = {
  topics: [
    {
      topic: TOPIC,
      partitions: [
        { partition: 0, fetchOffset: '5' },
        { partition: 1, fetchOffset: '7' },
      ],
    },
  ],
};
type Partition = FetchAnswer['responses'][number]['partitions'][number];

function partition(facts: Partial<Partition>): Partition {
  return { partition: 0, errorCode: 0, highWatermark: '9', lastStableOffset: '9', messages: [], ...facts };
}

/** Offsets of the messages of each partition; those that stand for others with their range and whether they are withheld. */
function offsetsOf(...partitions: Partition[]): unknown[][] {
  const { responses } = withTroublesInPlace(request, { responses: [{ topicName: TOPIC, partitions }] });
  return responses[0]!.partitions.map(({ messages, errorCode }) => {
    expect(errorCode === 0 || messages.length === 0).toBe(true);
    return messages.map((message) => {
      const lost = undecodableOf(message);
      if (lost === null) return (message as { offset: string }).offset;
      return `${lost.firstOffset}-${lost.lastOffset}${lost.isWithheld ? ' withheld' : ''}`;
    });
  });
}

const messages = (...offsets: number[]): object[] => offsets.map((offset) => ({ offset: String(offset) }));

describe('what the answer to a fetch says beside its question', () => {
  it('leaves alone what is in order', () => {
    expect(offsetsOf(partition({ messages: messages(5, 8) }), partition({ partition: 1 }))).toEqual([
      ['5', '8'],
      [],
    ]);
    expect(offsetsOf(partition({ highWatermark: '5', lastStableOffset: '5' }))).toEqual([[]]);
    // An open transaction: there is more, and no consumer may read it yet.
    expect(offsetsOf(partition({ lastStableOffset: '5' }))).toEqual([[]]);
    expect(offsetsOf()).toEqual([]);
  });

  it('says of the one partition what a broker cannot read (FA1)', () => {
    const corrupt = partition({ partition: 1, errorCode: 2, highWatermark: '-1', lastStableOffset: '-1' });
    expect(offsetsOf(partition({ messages: messages(5) }), corrupt)).toEqual([['5'], ['7-7 withheld']]);
  });

  it('leaves other errors to kafkajs', () => {
    expect(offsetsOf(partition({ errorCode: 6, highWatermark: '-1' }))).toEqual([[]]);
  });

  it('says what is not sent though it is there, when nothing else filled the answer (FA2)', () => {
    expect(offsetsOf(partition({}), partition({ partition: 1, lastStableOffset: '7' }))).toEqual([
      ['5-5 withheld'],
      [],
    ]);
    expect(offsetsOf(partition({}), partition({ partition: 1, messages: messages(7) }))).toEqual([[], ['7']]);
  });

  it('believes no offset behind the end of its partition (FA3)', () => {
    expect(offsetsOf(partition({ messages: messages(5, 6, 2 ** 40) }))).toEqual([['5', '6', '7-7']]);
    expect(offsetsOf(partition({ messages: messages(2 ** 40, 2 ** 40 + 1) }))).toEqual([['5-5']]);
    expect(offsetsOf(partition({ messages: messages(3, 2 ** 40) }))).toEqual([['3', '5-5']]);
    expect(offsetsOf(partition({ messages: messages(8, 9) }))).toEqual([['8']]);
  });
});
