import { describe, expect, it } from '@jest/globals';
import { parseTopicAddress } from './topic-address.js';

describe('a topic’s address', () => {
  it('names ranges of offsets, and is shown with its partitions in order', () => {
    const address = parseTopicAddress('TOPIC://sluice.Orders_1.inbox?12=0-0&3=5-900000000000000');
    expect(address).toEqual({
      topic: 'sluice.Orders_1.inbox',
      ranges: [
        { partition: 3, from: 5, to: 900_000_000_000_000 },
        { partition: 12, from: 0, to: 0 },
      ],
      display: 'topic://sluice.Orders_1.inbox?3=5-900000000000000&12=0-0',
    });
    expect(parseTopicAddress(address.display)).toEqual(address);
  });

  it.each([
    ['topic://orders', 'a range is not written as'],
    ['topic://orders?', 'a range is not written as'],
    ['topic://orders?0=1-', 'a range is not written as'],
    ['topic://orders?0=-1-2', 'a range is not written as'],
    ['topic://orders?0=1-2=3', 'a range is not written as'],
    ['topic://orders?0=1-2&', 'a range is not written as'],
    ['topic://orders?0=1-1e3', 'a range is not written as'],
    ['topic://orders?0=1-9000000000000000', 'a range is not written as'],
    ['topic://orders?99999=1-2', 'a range is not written as'],
    ['topic://orders?canary=1-2', 'a range is not written as'],
    ['topic://orders?0=7-6', 'partition 0 is to be read from 7 to 6, which is before it'],
    ['topic://orders?0=1-2&0=2-3', 'partition 0 is given more than once'],
    ['topic://canary@orders?0=1-2', 'it has more than a topic and ranges'],
    ['topic://orders/canary?0=1-2', 'it has more than a topic and ranges'],
    ['topic://orders?0=1-2#canary', 'it has more than a topic and ranges'],
    ['topic://orders:9092?0=1-2', 'its topic is not one that Kafka allows'],
    ['topic://%E6%9D%B1?0=1-2', 'its topic is not one that Kafka allows'],
  ])('%s is refused, and nothing of it that is not understood is shown', (text, problem) => {
    const refusal = (): unknown => parseTopicAddress(text);
    expect(refusal).toThrow(
      expect.objectContaining({
        code: 'SOURCE_UNSUPPORTED',
        message: expect.stringContaining(
          `The source is no topic://<topic>?<partition>=<from>-<to>&…: ${problem}`,
        ),
      }),
    );
    expect(refusal).not.toThrow('canary');
  });
});
