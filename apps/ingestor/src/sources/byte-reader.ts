import { SluiceError } from '#common/errors/sluice-error.js';

const NOTHING = Buffer.alloc(0);

/** Reads chunks of any size as what a format needs: a look ahead, an exact run, or simply the next bytes. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #ahead: Buffer = NOTHING;
  #taken = 0;

  /** @param display names the source in errors */
  constructor(
    chunks: AsyncIterable<Buffer>,
    readonly display: string,
  ) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Bytes handed out and not put back. */
  get taken(): number {
    return this.#taken;
  }

  /** The next bytes without taking them: `length` of them, fewer only at the end. */
  async peek(length: number): Promise<Buffer> {
    while (this.#ahead.length < length) {
      const more = await this.#chunks.next();
      if (more.done) break;
      this.#ahead = this.#ahead.length === 0 ? more.value : Buffer.concat([this.#ahead, more.value]);
    }
    return this.#ahead.subarray(0, length);
  }

  /** Exactly `length` bytes, for headers: they are held in memory. @throws SluiceError SOURCE_TRUNCATED */
  async take(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    if (bytes.length < length) throw truncated(this.display);
    this.#ahead = this.#ahead.subarray(length);
    this.#taken += length;
    return bytes;
  }

  /** As many bytes as are at hand, at least one; null at the end. */
  async next(): Promise<Buffer | null> {
    let bytes = this.#ahead;
    this.#ahead = NOTHING;
    while (bytes.length === 0) {
      const more = await this.#chunks.next();
      if (more.done) return null;
      bytes = more.value;
    }
    this.#taken += bytes.length;
    return bytes;
  }

  /** Puts back the last bytes taken. */
  putBack(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#ahead = this.#ahead.length === 0 ? bytes : Buffer.concat([bytes, this.#ahead]);
    this.#taken -= bytes.length;
  }

  /** Everything that is left, chunk by chunk. */
  async *rest(): AsyncGenerator<Buffer> {
    for (let bytes = await this.next(); bytes !== null; bytes = await this.next()) yield bytes;
  }

  /** Ends what the chunks come from. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** The error of a source whose format promises more than there is. */
export function truncated(display: string): SluiceError {
  return new SluiceError('SOURCE_TRUNCATED', `${display} ends in the middle: it is not the whole file.`, {
    file: display,
  });
}
