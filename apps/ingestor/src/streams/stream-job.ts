import { hash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { RawHeaders, ReadMessage } from '#common/kafka/message.js';
import { DEFAULT_BREAKER, type Dataset, type WriteMode, resolveOptions } from '#core/dataset/dataset.js';
import type { NewJob } from '#core/job/create-job.js';
import type { LastMessage } from '#core/stream/position.js';
import type { ClosedRange, QueuedMessage } from '#core/stream/range-builder.js';
import { type RangeToTake, behind } from '#core/stream/take-range.js';
import type { MessageSource } from '../sources/message-source.js';
import { SOURCE_KINDS } from '../sources/source-kinds.js';
import { TOPIC_IDENTITY, topicAddress } from '../sources/topic/topic-address.js';

/** A message of an inbox, as ranges are made of. */
export interface InboxMessage extends QueuedMessage {
  readonly message: ReadMessage;
}

/** A whole range of an inbox. */
export type InboxRange = ClosedRange<InboxMessage>;

/** The last millisecond of a Date: producers that write nanoseconds are beyond it. */
const LAST_TIME_MS = 8.64e15;

/** @param now what a message has for its time that has none, or one that is no date */
export function inboxMessage(message: ReadMessage, now: number): InboxMessage {
  const { place, key, value, headers, timestamp } = message;
  return {
    partition: place.partition,
    offset: Number(place.offset),
    bytes: (key?.length ?? 0) + (value?.length ?? 0) + bytesOfHeaders(headers),
    timestamp: timestamp > 0 && timestamp <= LAST_TIME_MS ? timestamp : now,
    message,
  };
}

/** Messages with the same headers share one object (`RecordReader`), so nearly all are measured once. */
const measured = new WeakMap<RawHeaders, number>();

/** As they travel, but for the framing. */
function bytesOfHeaders(headers: RawHeaders): number {
  const known = measured.get(headers);
  if (known !== undefined) return known;
  let bytes = 0;
  for (const [name, values] of Object.entries(headers))
    for (const one of Array.isArray(values) ? values : [values])
      bytes += Buffer.byteLength(name) + (one === undefined ? 0 : Buffer.byteLength(one));
  measured.set(headers, bytes);
  return bytes;
}

/**
 * The job of a range.
 *
 * Whatever is good in it becomes visible, however much is refused beside it: the range is what the producers have sent, and
 * no better one comes. So the share of refused records is judged over the latest jobs (`stream-breaker.ts`), and fails
 * no single one; a strict dataset stays strict.
 * @param mode of `mergeModeOf`
 */
export function rangeToTake(
  dataset: Dataset,
  mode: WriteMode,
  topic: string,
  range: InboxRange,
  maxJobsInFlight: number,
): RangeToTake {
  const address = topicAddress(topic, range.ranges);
  const job: NewJob = {
    id: uuidv7(),
    dataset: dataset.name,
    mode,
    source: SOURCE_KINDS.describe(address, { isTrusted: true }),
    secretUri: address,
    dryRun: false,
    limitRecords: null,
    strict: dataset.strict ?? false,
    maxRefusedShare: 1,
    maxShrinkShare: null,
    existingKeys: 'supersede',
    breaker: dataset.breaker ?? DEFAULT_BREAKER,
    options: resolveOptions(dataset, {}).values,
    contractVersion: dataset.contractVersion,
  };
  const last = lastMessages(range.messages);
  return {
    job,
    ranges: range.ranges,
    records: range.messages.length,
    position: behind(range.ranges, (partition) => last.get(partition)),
    maxJobsInFlight,
  };
}

function lastMessages(messages: readonly InboxMessage[]): Map<number, LastMessage> {
  const last = new Map<number, InboxMessage>();
  for (const message of messages) last.set(message.partition, message);
  return new Map(
    [...last].map(([partition, { offset, message }]) => [
      partition,
      { offset, sha256: fingerprintOf(message) },
    ]),
  );
}

/** Of key and value, for `LastMessage`. */
export function fingerprintOf({ key, value }: Pick<ReadMessage, 'key' | 'value'>): string {
  const length = Buffer.alloc(4);
  length.writeInt32BE(key?.length ?? -1);
  return hash('sha256', Buffer.concat([length, key ?? Buffer.alloc(0), value ?? Buffer.alloc(0)]), 'hex');
}

/** Hands over messages that are in memory already. */
export function heldMessages({ messages }: InboxRange): MessageSource {
  async function* all(): AsyncGenerator<readonly ReadMessage[]> {
    await Promise.resolve();
    yield messages.map(({ message }) => message);
  }
  return {
    identity: TOPIC_IDENTITY,
    messages: all(),
    close: () => Promise.resolve(),
  };
}
