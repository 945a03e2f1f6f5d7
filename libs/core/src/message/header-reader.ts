import { SluiceError } from '#common/errors/sluice-error.js';
import type { IncomingMessage } from '#common/kafka/message.js';
import { type DatasetTopic, topicOf } from './topics.js';
import { isUuid } from './wire-checks.js';

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
