/**
 * What the message of an inbox said of itself that a refused record came in, as its dead letter carries it: JSON. PURE.
 * On the way there it stands in the table of its batch (`../record/message-table.ts`).
 */
import { isUtf8 } from 'node:buffer';
import { SluiceError } from '#common/errors/sluice-error.js';
import { BatchMessages, type TabledMessage } from '../record/message-table.js';
import { cutStorable, isCount, isListOf, isObjectOf, isOffset, isTime } from './header-reader.js';

/** Where a message stood, and what it had besides its value. */
export interface MessageFacts {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Null where the producer gave none, or one that is no moment from the year 1 to 9999. */
  readonly timestamp: string | null;
  readonly key: MessageText | null;
  readonly headers: readonly MessageHeader[];
  /** Its key or headers are longer, or more, than what was kept of them (16 KiB). */
  readonly isCut?: true;
  /** It stands for a batch that cannot be decoded: from this offset on, and why. */
  readonly undecodable?: { readonly firstOffset: string; readonly reason: string };
}

export interface MessageHeader {
  readonly name: string;
  readonly value: MessageText | null;
}

/** Bytes as text, where they are one without control characters; else in base64. */
export type MessageText = { readonly text: string } | { readonly base64: string };

/** Of the JSON of one message: 16 KiB as base64, and names of headers. */
export const MAX_FACTS_BYTES = 128 * 1024;
const MAX_NAME_CHARACTERS = 1_000;
const MAX_TOPIC_CHARACTERS = 249;
const MAX_HEADERS = 16 * 1024;
const MAX_TEXT_CHARACTERS = 64 * 1024;

/**
 * What the messages of one batch said, each when it is asked for.
 * @param batch for the error's place
 */
export class BatchFacts {
  private readonly messages: BatchMessages;

  constructor(table: Buffer, batch: number) {
    this.messages = new BatchMessages(table, batch);
  }

  /** As a dead letter carries them: a table that cannot be read is no reason to hold the dead letter back. */
  messageOf(index: number): { readonly message?: MessageFacts } {
    try {
      return { message: this.of(index) };
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'MESSAGE_INVALID') return {};
      throw error;
    }
  }

  /**
   * @param index which message of the batch, from 0; each call with a larger one than the call before
   * @throws SluiceError MESSAGE_INVALID when the table does not come to it
   */
  of(index: number): MessageFacts {
    return factsOf(this.messages.message(index));
  }
}

function factsOf(message: TabledMessage): MessageFacts {
  const { topic, partition, offset, timestamp, key, headers, isCut, undecodable } = message;
  return {
    topic,
    partition,
    offset: String(offset),
    timestamp: timeOf(timestamp),
    key: textOf(key),
    headers: headers.map(([name, value]) => ({
      name: cutStorable(name, MAX_NAME_CHARACTERS),
      value: textOf(value),
    })),
    ...(isCut ? { isCut } : {}),
    ...(undecodable === null
      ? {}
      : {
          undecodable: {
            firstOffset: String(undecodable.firstOffset),
            reason: cutStorable(undecodable.reason, MAX_NAME_CHARACTERS),
          },
        }),
  };
}

function timeOf(timestamp: number): string | null {
  if (timestamp === -1) return null;
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return null;
  const text = date.toISOString();
  return isTime(text) ? text : null;
}

function textOf(bytes: Buffer | null): MessageText | null {
  if (bytes === null) return null;
  const text = isUtf8(bytes) ? bytes.toString() : null;
  return text === null || /\p{Cc}/u.test(text) ? { base64: bytes.toString('base64') } : { text };
}

const isTexted = (value: unknown): value is MessageText | null => {
  if (value === null) return true;
  if (typeof value !== 'object') return false;
  const { text, base64 } = value as { text?: unknown; base64?: unknown };
  if (base64 === undefined) return isShown(text, MAX_TEXT_CHARACTERS);
  return (
    text === undefined &&
    typeof base64 === 'string' &&
    base64.length <= MAX_TEXT_CHARACTERS &&
    /^[A-Za-z0-9+/]*={0,2}$/.test(base64)
  );
};

function isShown(value: unknown, maxCharacters: number): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxCharacters &&
    value.isWellFormed() &&
    !value.includes('\0')
  );
}

const isHeaders = isListOf(
  isObjectOf<MessageHeader>({
    name: (value): value is string => isShown(value, MAX_NAME_CHARACTERS),
    value: isTexted,
  }),
);

const isUndecodable = isObjectOf<NonNullable<MessageFacts['undecodable']>>({
  firstOffset: isOffset,
  reason: (value): value is string => isShown(value, MAX_NAME_CHARACTERS),
});

/** Whether what came over the wire is of this shape, and can be stored. */
export const isMessageFacts = isObjectOf<MessageFacts>({
  topic: (value): value is string => isShown(value, MAX_TOPIC_CHARACTERS),
  partition: (value): value is number => isCount(value, 2 ** 31 - 1),
  offset: isOffset,
  timestamp: (value): value is string | null => value === null || isTime(value),
  key: isTexted,
  headers: (value): value is MessageHeader[] => isHeaders(value) && value.length <= MAX_HEADERS,
  isCut: (value): value is true | undefined => value === undefined || value === true,
  undecodable: (value): value is MessageFacts['undecodable'] => value === undefined || isUndecodable(value),
});
