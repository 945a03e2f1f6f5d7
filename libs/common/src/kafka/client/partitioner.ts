import type { ICustomPartitioner } from 'kafkajs';

/**
 * The partition that Kafka's clients give a message by its key: 32-bit murmur2, modulo the topic's partitions.
 *
 * kafkajs's own does each multiplication with 64-bit numbers made of objects: a twelfth of a validator's time where a
 * fifth of all records is refused, for a dead letter has a key of its own. `partitioner.spec.ts` proves both equal.
 */
export const keyPartitioner: ICustomPartitioner =
  () =>
  ({ partitionMetadata, message: { key, partition } }) => {
    if (partition !== undefined) return partition;
    if (key === undefined || key === null) throw new RangeError('A message without key has no partition.');
    return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitionMetadata.length;
  };

const SEED = 0x9747b28c;
const MIX = 0x5bd1e995;

/** Austin Appleby's MurmurHash2 with the seed that Kafka's clients share. PURE. */
function murmur2(bytes: Buffer): number {
  let hash = SEED ^ bytes.length;
  const end = bytes.length - (bytes.length % 4);
  for (let at = 0; at < end; at += 4) {
    let four = Math.imul(bytes.readInt32LE(at), MIX);
    four = Math.imul(four ^ (four >>> 24), MIX);
    hash = Math.imul(hash, MIX) ^ four;
  }
  if (end < bytes.length) {
    hash = Math.imul(hash ^ bytes.readUIntLE(end, bytes.length - end), MIX);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MIX);
  return hash ^ (hash >>> 15);
}
