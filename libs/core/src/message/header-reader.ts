import { SluiceError } from '#common/errors/sluice-error.js';
import type { IncomingMessage } from '#common/kafka/message.js';

export type { IncomingMessage, MessagePlace, OutgoingMessage } from '#common/kafka/message.js';

/** Reads typed headers; whatever is missing or malformed is MESSAGE_INVALID with topic, partition and offset. */
export class HeaderReader {
  constructor(private readonly message: IncomingMessage) {}

  text(name: string): string {
    const value = this.optionalText(name);
    if (value === undefined) throw this.invalid(`header "${name}" is missing`);
    return value;
  }

  optionalText(name: string): string | undefined {
    const value = this.message.headers[name];
    if (value === undefined) return undefined;
    if (Array.isArray(value)) throw this.invalid(`header "${name}" is given more than once`);
    return value.toString();
  }

  /** A non-negative integer below 2^53. */
  count(name: string): number {
    const text = this.text(name);
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
      throw this.invalid(`header "${name}" is not a count`);
    return value;
  }

  json(name: string): unknown {
    try {
      return JSON.parse(this.text(name)) as unknown;
    } catch (error) {
      if (error instanceof SluiceError) throw error;
      throw this.invalid(`header "${name}" is not JSON`);
    }
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
