import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import kafkajs, { type PartitionMetadata } from 'kafkajs';
import { anyCharacter } from '#test/support/any-character.js';
import { keyPartitioner } from './partitioner.js';

const TOPIC = 'sluice.shops.dead';
const ours = keyPartitioner();
const kafkajss = kafkajs.Partitioners.DefaultPartitioner();

describe('the partition of a message', () => {
  it('is the one that kafkajs would choose, whatever the key', () => {
    const key = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.uint8Array({ maxLength: 90 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(key, fc.integer({ min: 1, max: 64 }), (each, partitions) => {
        const chosen = {
          topic: TOPIC,
          partitionMetadata: metadata(partitions),
          message: { key: each, value: null },
        };
        expect(ours(chosen)).toBe(kafkajss(chosen));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is the one that the message asks for', () => {
    const message = { key: 'k', value: null, partition: 3 };
    expect(ours({ topic: TOPIC, partitionMetadata: metadata(8), message })).toBe(3);
  });

  it('is not chosen without a key', () => {
    const message = { value: null };
    expect(() => ours({ topic: TOPIC, partitionMetadata: metadata(8), message })).toThrow(RangeError);
  });
});

function metadata(partitions: number): PartitionMetadata[] {
  return Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    partitionErrorCode: 0,
    leader: 1,
    replicas: [1],
    isr: [1],
  }));
}
