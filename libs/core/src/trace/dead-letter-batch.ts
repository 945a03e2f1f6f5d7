/** The one record of a dead letter, as the batch that a `KeyFinder` searches. PURE. */
import type { MessageFacts, MessageText } from '../message/message-facts.js';
import { MessageTable } from '../record/message-table.js';
import { MESSAGE_FAULT_CODES, type MessageFaultCode, type RawBatch } from '../record/raw-batch.js';

export interface StoredDeadLetter {
  readonly record: number;
  readonly line: number;
  readonly byteStart: number;
  readonly byteEnd: number;
  readonly codes: readonly string[];
  readonly bytes: Buffer;
  /** Of a record that came as a message. */
  readonly message: MessageFacts | null;
}

/**
 * @param isOneRecord false: it was found that the bytes are no single record, and only what they mention counts
 */
export function batchOfDeadLetter(letter: StoredDeadLetter, isOneRecord = true): RawBatch {
  const { record, line, byteStart, byteEnd, bytes, message } = letter;
  const length = byteEnd - byteStart;
  const code = faultOf(letter, isOneRecord);
  // Line ends are left out of a dead letter's bytes, and of its range.
  const isCut = message === null && bytes.length < length;
  return {
    ...{ batch: 0, firstRecord: record, firstLine: line, records: 1, lines: 1, byteStart, byteEnd, bytes },
    unreadable:
      code === undefined && !isCut
        ? []
        : [
            {
              ...{ index: 0, offset: 0, lines: 1, keptBytes: bytes.length },
              bytes: Math.max(length, bytes.length),
              ...(code === undefined ? {} : { code }),
            },
          ],
    ...(message === null ? {} : { messages: tableOf(message) }),
  };
}

function faultOf(
  { codes, bytes, message }: StoredDeadLetter,
  isOneRecord: boolean,
): MessageFaultCode | undefined {
  // Its own fault may be another one: of a message without a value, the key.
  if (message !== null && bytes.length === 0) return 'TOMBSTONE';
  if (!isOneRecord) return 'NOT_ONE_RECORD';
  const found = codes.find((code) => Object.hasOwn(MESSAGE_FAULT_CODES, code));
  return found as MessageFaultCode | undefined;
}

function tableOf({ topic, partition, offset, key }: MessageFacts): Buffer {
  const table = new MessageTable(topic);
  table.add({
    place: { topic, partition, offset },
    key: bytesOf(key),
    headers: {},
    timestamp: -1,
  });
  return table.take();
}

function bytesOf(text: MessageText | null): Buffer | null {
  if (text === null) return null;
  return 'text' in text ? Buffer.from(text.text) : Buffer.from(text.base64, 'base64');
}
