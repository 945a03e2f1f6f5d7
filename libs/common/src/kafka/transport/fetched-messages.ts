import type { KafkaMessage } from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import { undecodableOf } from '../client/record-batches.js';
import type { IncomingMessage } from '../message.js';
import { classifyDatabaseError, sqlstateOf } from '../../postgres/sqlstate.js';
import { classifyBrokerError } from '../client/kafka-errors.js';

/** How much is handed over, and loaded in one transaction, at once. */
export interface GroupBounds {
  /** Key, headers and value. A group is closed before the message that would bring it above this; one larger message goes alone. */
  readonly maxGroupBytes: number;
  readonly maxGroupMessages: number;
}

/** Consecutive messages, in their order, in groups within the bounds. PURE. */
export function groupsWithin<T>(
  messages: readonly T[],
  { maxGroupBytes, maxGroupMessages }: GroupBounds,
  bytesOf: (message: T) => number,
): T[][] {
  const groups: T[][] = [];
  let open: T[] = [];
  let openBytes = 0;
  for (const message of messages) {
    const bytes = bytesOf(message);
    if (open.length > 0 && (open.length >= maxGroupMessages || openBytes + bytes > maxGroupBytes)) {
      groups.push(open);
      open = [];
      openBytes = 0;
    }
    open.push(message);
    openBytes += bytes;
  }
  if (open.length > 0) groups.push(open);
  return groups;
}

/**
 * A message that the brokers have and do not send is waited for (BS3): another replica may have it whole, or an operator
 * decides that it is lost.
 * @throws SluiceError BROKER_FAULT
 */
export function assertSent(topic: string, partition: number, fetched: readonly KafkaMessage[]): void {
  const withheld = fetched.map(undecodableOf).find((undecodable) => undecodable?.isWithheld);
  if (!withheld) return;
  throw new SluiceError(
    'BROKER_FAULT',
    `${topic}/${partition}: ${withheld.reason}. See docs/operations.md, "A broker that cannot read its own log".`,
  );
}

/** @throws SluiceError INTERNAL of an empty group, as {@link lastOf} does */
export function firstOf(group: readonly KafkaMessage[]): KafkaMessage {
  const [first] = group;
  if (!first) throw new SluiceError('INTERNAL', 'A group of messages is empty.');
  return first;
}

export function lastOf(group: readonly KafkaMessage[]): KafkaMessage {
  const last = group.at(-1);
  if (!last) throw new SluiceError('INTERNAL', 'A group of messages is empty.');
  return last;
}

/** What a handler gets of a message. */
export function toIncoming(topic: string, partition: number, message: KafkaMessage): IncomingMessage {
  return {
    place: { topic, partition, offset: message.offset },
    headers: message.headers ?? {},
    value: message.value,
  };
}

/**
 * Codes of faults that are neither a wait nor a server's: the message's, or our code's when it handles the message.
 * Brokers, permissions, missing topics and a database that refuses a whole table are not among them (G10): however long
 * they last, they say nothing about a message, and parking would lose one after the other.
 */
const MESSAGE_FAULTS: ReadonlySet<string> = new Set([
  'MESSAGE_INVALID',
  'CONTRACT_MISMATCH',
  'DATASET_INVALID',
  'DATASET_UNKNOWN',
  'DATASET_CODE_FAILED',
  'INTERNAL',
]);

/** Whether a delivery that fails like this may fail because of a single message in it, for as long as it is tried. */
export function isMessageFault(error: unknown): boolean {
  if (error instanceof SluiceError) {
    if (MESSAGE_FAULTS.has(error.code)) return true;
    // Above our own limit, which is known without asking. What brokers refuse is above the topic's: a setting.
    if (error.code === 'MESSAGE_TOO_LARGE') return error.cause === undefined;
    return error.code === 'DATABASE_FAULT' && isValueFault(error.cause);
  }
  if (sqlstateOf(error) !== null) return isValueFault(error);
  return classifyDatabaseError(error) === 'unknown' && !isKafkas(error);
}

/** Code and words for logs and the list of parked messages, with nothing of the message's contents. */
export function faultReason(error: unknown): string {
  if (error instanceof SluiceError) return `${error.code}: ${error.message}`;
  const sqlstate = sqlstateOf(error);
  if (sqlstate !== null) return `DATABASE_FAULT: PostgreSQL refused it (SQLSTATE ${sqlstate})`;
  // Messages of foreign errors may quote their input: JSON.parse does.
  return `INTERNAL: ${error instanceof Error ? error.name : 'an unknown error'} in the code that handles it`;
}

/** PostgreSQL refuses a value: class 22, 54, or one of the codes that are a record's own fault. */
function isValueFault(error: unknown): boolean {
  const sqlstate = sqlstateOf(error) ?? '';
  return /^(22|54)/.test(sqlstate) || classifyDatabaseError(error) === 'record';
}

/** An error of the brokers' or of the connection to them. */
export function isKafkas(error: unknown): boolean {
  return classifyBrokerError(error) !== 'unknown' || (error instanceof Error && /^Kafka/.test(error.name));
}

/** A delivery that has failed so often by a message's fault is handed over message by message. */
export const MAX_FAULTS = 3;

/** How often the same delivery of a partition has failed by a message's fault. */
export class FaultCounts {
  private readonly counts = new Map<string, { readonly offset: string; count: number }>();

  /** @param offset of the delivery's first message: another one is another delivery */
  failed(source: string, offset: string, error: unknown): void {
    if (!isMessageFault(error)) return;
    const known = this.counts.get(source);
    if (known?.offset === offset) known.count += 1;
    else this.counts.set(source, { offset, count: 1 });
  }

  isExhausted(source: string, offset: string): boolean {
    const known = this.counts.get(source);
    return known?.offset === offset && known.count >= MAX_FAULTS;
  }

  forget(source: string): void {
    this.counts.delete(source);
  }
}
