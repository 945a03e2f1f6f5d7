/**
 * What the response to a fetch means only together with its request, which says where it was to begin.
 *
 * kafkajs fails the whole fetch if a broker cannot read one partition from its disk: no partition of that broker is read
 * any more, the consumer ends and starts again, and nothing names the place. An empty response is no error for it at all,
 * whether there are messages or not. Here both become a message that reports it in its place (record-batches.ts,
 * `isWithheld`), so that one partition waits, with the reason, and the others continue.
 *
 * - FA1: CORRUPT_MESSAGE is the partition's own.
 * - FA2: a partition that has more, in a response without a byte, is withheld: brokers respond at once with what there is,
 *   at least one batch, and a throttled client gets no partitions at all. A damaged length makes a broker skip the rest
 *   of its segment like this.
 * - FA3: no message is after the partition's end: its offset would be committed, be out of range, and make the consumer
 *   read the whole topic again. Only a damaged first offset, which no checksum covers, can claim that.
 */
import { lostAt } from './record-batches.js';

/** As kafkajs asks. */
export interface FetchRequest {
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string | number }[];
  }[];
}

/** As kafkajs decodes the answer. */
export interface FetchAnswer {
  readonly responses: readonly {
    readonly topicName: string;
    readonly partitions: readonly PartitionAnswer[];
  }[];
}

interface PartitionAnswer {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: string;
  readonly lastStableOffset?: string;
  readonly messages: readonly object[];
}

const CORRUPT_MESSAGE = 2;

/** The same answer, with a message in each place that cannot be read. PURE. */
export function withTroublesInPlace<T extends FetchAnswer>({ topics }: FetchRequest, answer: T): T {
  const isEmpty = answer.responses.every(({ partitions }) =>
    partitions.every(({ messages, errorCode }) => messages.length === 0 && errorCode === 0),
  );
  const responses = answer.responses.map((response) => {
    const asked = topics.find(({ topic }) => topic === response.topicName);
    const partitions = response.partitions.map((partition) => {
      const place = asked?.partitions.find((each) => each.partition === partition.partition);
      return place === undefined ? partition : inPlace(partition, BigInt(place.fetchOffset), isEmpty);
    });
    return { ...response, partitions };
  });
  return { ...answer, responses };
}

function inPlace(answer: PartitionAnswer, from: bigint, isAnswerEmpty: boolean): PartitionAnswer {
  const { errorCode, messages } = answer;
  if (errorCode === CORRUPT_MESSAGE) {
    const reason = 'is not sent: the brokers cannot read it from their disks (CORRUPT_MESSAGE)';
    return { ...answer, errorCode: 0, messages: [lostAt(from, from, { reason, isWithheld: true })] };
  }
  if (errorCode !== 0) return answer;
  const end = BigInt(answer.lastStableOffset ?? -1);
  if (isAnswerEmpty && end > from) {
    const reason = `is not sent: the brokers answer with nothing, and say that the partition ends at ${end}`;
    return { ...answer, messages: [lostAt(from, from, { reason, isWithheld: true })] };
  }
  return { ...answer, messages: beforeEnd(messages, from, BigInt(answer.highWatermark)) };
}

/** FA3. */
function beforeEnd(messages: readonly object[], from: bigint, end: bigint): readonly object[] {
  const last = messages.at(-1);
  if (last === undefined || offsetOf(last) < end) return messages;
  const kept = messages.filter((message) => offsetOf(message) < end);
  const before = kept.at(-1);
  const next = before === undefined || offsetOf(before) < from ? from : offsetOf(before) + 1n;
  // There is nothing to skip.
  if (next >= end) return kept;
  const reason = `cannot be decoded: its offset is said to be ${offsetOf(last)}, and the partition ends at ${end}`;
  return [...kept, lostAt(next, next, { reason })];
}

function offsetOf(message: object): bigint {
  return BigInt((message as { readonly offset: string }).offset);
}
