import type { KafkaMessage } from 'kafkajs';
import { SluiceError } from '../errors/sluice-error.js';
import type { IncomingMessage } from './message.js';
import { undecodableOf } from './record-batches.js';

/**
 * What the brokers have and do not send is waited for (T3): another replica may have it whole, or an operator decides that it
 * is lost.
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
