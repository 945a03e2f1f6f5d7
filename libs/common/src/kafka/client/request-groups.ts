import type { SendableMessage } from '../message.js';
import { BATCH_OVERHEAD_BYTES, type MessageBody, bodyOf, bytesWith } from './produce-request.js';

/**
 * A request is closed when it holds this much; one larger message travels alone. It is the brokers' own default for
 * max.message.bytes less some room, so even a topic that was made by hand takes a whole request into one partition.
 */
export const MAX_REQUEST_BYTES = 1024 * 1024;

/** A message and its measures, which are taken once and serve again when the request is written. */
export interface MeasuredMessage {
  readonly message: SendableMessage;
  readonly body: MessageBody;
}

/** Messages that travel together. */
export interface RequestGroup {
  readonly messages: readonly MeasuredMessage[];
  /** As they travel: keys, headers and values with their lengths, and a batch's own bytes for each. */
  readonly bytes: number;
}

/** Consecutive messages in groups up to MAX_REQUEST_BYTES, taken from `messages` only when they are needed. PURE. */
export function* requestsOf(messages: Iterable<SendableMessage>): Generator<RequestGroup, void> {
  let open: MeasuredMessage[] = [];
  let openBytes = 0;
  for (const message of messages) {
    const measured = { message, body: bodyOf(message) };
    const bytes = messageBytes(measured);
    if (open.length > 0 && openBytes + bytes > MAX_REQUEST_BYTES) {
      yield { messages: open, bytes: openBytes };
      open = [];
      openBytes = 0;
    }
    open.push(measured);
    openBytes += bytes;
  }
  if (open.length > 0) yield { messages: open, bytes: openBytes };
}

/** The halves of a group that was too large for one of its topics. */
export function halvesOf({ messages }: RequestGroup): RequestGroup[] {
  const middle = Math.ceil(messages.length / 2);
  return [messages.slice(0, middle), messages.slice(middle)]
    .filter((half) => half.length > 0)
    .map((half) => ({
      messages: half,
      bytes: half.reduce((sum, message) => sum + messageBytes(message), 0),
    }));
}

/** Size of a message that is alone in its batch, which is what max.message.bytes bounds. */
export function messageBytes({ body }: Pick<MeasuredMessage, 'body'>): number {
  return BATCH_OVERHEAD_BYTES + bytesWith(body);
}
