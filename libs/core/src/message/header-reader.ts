import { SluiceError } from '#common/errors/sluice-error.js';
import type { IncomingMessage } from '#common/kafka/message.js';
import { type DatasetTopic, topicOf } from './topics.js';

export type { IncomingMessage, MessagePlace, OutgoingMessage, RawHeaders } from '#common/kafka/message.js';

/** Reads typed headers; whatever is missing or malformed is MESSAGE_INVALID with topic, partition and offset. */
export class HeaderReader {
  constructor(private readonly message: IncomingMessage) {}

  text(name: string, maxBytes = Infinity): string {
    const value = this.optionalText(name);
    if (value === undefined) throw this.invalid(`header "${name}" is missing`);
    if (value.length > maxBytes || (value.length * 3 > maxBytes && Buffer.byteLength(value) > maxBytes))
      throw this.invalid(`header "${name}" has more than ${maxBytes} bytes`);
    return value;
  }

  optionalText(name: string): string | undefined {
    const value = this.message.headers[name];
    if (value === undefined) return undefined;
    if (Array.isArray(value)) throw this.invalid(`header "${name}" is given more than once`);
    return value.toString();
  }

  /** A header that is no text. */
  bytes(name: string): Buffer {
    const value = this.message.headers[name];
    if (!Buffer.isBuffer(value)) throw this.invalid(`header "${name}" is missing, or given more than once`);
    return value;
  }

  /** What `read` makes of a header that is there. */
  optional<T>(name: string, read: () => T): T | undefined {
    return this.message.headers[name] === undefined ? undefined : read();
  }

  /** A non-negative integer below 2^53, or up to `max`. */
  count(name: string, max = Number.MAX_SAFE_INTEGER): number {
    const text = this.text(name);
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value > max)
      throw this.invalid(`header "${name}" is not a count`);
    return value;
  }

  /** Two counts, the second not below the first. */
  range(from: string, to: string): readonly [number, number] {
    const bounds = [this.count(from), this.count(to)] as const;
    if (bounds[1] < bounds[0]) throw this.invalid(`header "${to}" is below "${from}"`);
    return bounds;
  }

  json(name: string): unknown {
    return this.parsed(name, this.text(name));
  }

  /** @param text of that header */
  parsed(name: string, text: string): unknown {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw this.invalid(`header "${name}" is not JSON`);
    }
  }

  /** JSON of a shape that `isRight` knows. */
  checkedJson<T>(name: string, isRight: (value: unknown) => value is T): T {
    const value = this.json(name);
    if (!isRight(value)) throw this.invalid(`header "${name}" does not have the right shape`);
    return value;
  }

  /** A job's id, as PostgreSQL prints a UUID. */
  jobId(): string {
    const job = this.text('job');
    if (!isUuid(job)) throw this.invalid('header "job" is not a UUID');
    return job;
  }

  /** The dataset, which must be the one that the topic belongs to. */
  datasetOf(kind: DatasetTopic): string {
    const dataset = this.text('dataset');
    if (this.message.place.topic !== topicOf(dataset, kind))
      throw this.invalid(`it is of dataset "${dataset}"`);
    return dataset;
  }

  version(supported: number): void {
    const version = this.count('v');
    if (version !== supported) throw this.invalid(`version ${version} is not ${supported}`);
  }

  value(): Buffer {
    if (this.message.value === null) throw this.invalid('it has no value');
    return this.message.value;
  }

  invalid(problem: string): SluiceError {
    const { topic, partition, offset } = this.message.place;
    return new SluiceError('MESSAGE_INVALID', `Message ${topic}/${partition}/${offset}: ${problem}.`);
  }
}

/* Below: what must hold of a value that came over the wire before it is added up or stored. PURE. */

/** A UUID as PostgreSQL prints it, so that ids can be compared as text. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}

export function isDatasetName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9-]{1,100}$/.test(value);
}

/** A whole number from 0 to `max`, by default every one that a number holds exactly. */
export function isCount(value: unknown, max = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

/** A message's offset as text; 18 digits, so that every one fits PostgreSQL's bigint. */
export function isOffset(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,18}$/.test(value);
}

const FIRST_TIME_MS = Date.parse('0001-01-01T00:00:00Z');

/**
 * A moment in UTC as `toISOString` writes it, from the year 1 to 9999, with any number of decimals up to microseconds:
 * PostgreSQL has no year 0 and reads nothing else as JavaScript does. No 30 February and no hour 24, either: JavaScript
 * counts them on.
 */
export function isTime(value: unknown): value is string {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(value)) return false;
  const ms = Date.parse(value);
  return ms >= FIRST_TIME_MS && new Date(ms).toISOString().startsWith(value.slice(0, 19));
}

/** A text that `text` and `jsonb` can hold: no NUL, no lone surrogate. */
export function isStorable(value: unknown, maxCharacters: number): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxCharacters &&
    value.isWellFormed() &&
    !value.includes('\0')
  );
}

/** At most this number of characters of a text, as `text` and `jsonb` can hold it: U+FFFD stands for what they cannot. */
export function cutStorable(text: string, maxCharacters: number): string {
  const cut = text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters - 1)}…`;
  return cut.toWellFormed().replaceAll('\0', '\u{FFFD}');
}

/** A short text without control characters, private-use characters or lone surrogates. */
export function isLabel(value: unknown, maxCharacters = 200): value is string {
  return (
    typeof value === 'string' && value.length > 0 && value.length <= maxCharacters && !/\p{C}/u.test(value)
  );
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isListOf<T>(isItem: (value: unknown) => value is T): (value: unknown) => value is T[] {
  return (value): value is T[] => Array.isArray(value) && value.every(isItem);
}

/** At most 1,000 members whose names and values are right. */
export function isRecordOf<T>(
  isValue: (value: unknown) => value is T,
  isName: (name: string) => boolean = isText,
): (value: unknown) => value is Record<string, T> {
  return (value): value is Record<string, T> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    const members = Object.entries(value);
    return (
      members.length <= MAX_MEMBERS && members.every(([name, member]) => isName(name) && isValue(member))
    );
  };
}

/** Far above the finding codes of any contract and the facts of any head. */
export const MAX_MEMBERS = 1_000;

/** An object whose named members are right; others are let pass, for later versions. */
export function isObjectOf<T extends object>(members: {
  readonly [K in keyof T]: (value: unknown) => value is T[K];
}): (value: unknown) => value is T {
  return (value): value is T =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries<(member: unknown) => boolean>(members).every(([name, isRight]) =>
      isRight((value as Record<string, unknown>)[name]),
    );
}
