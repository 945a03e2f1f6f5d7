import type { Gunzip, InflateRaw } from 'node:zlib';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type ByteReader, truncated } from '../byte-reader.js';

/** Size of the pieces that come out of node:zlib. CPU for 172 MB of CSV: 0.6 s at 16 KiB (its default), 0.25 s at this. */
export const INFLATED_CHUNK_BYTES = 256 * 1024;

/** How much a compressed source may unpack to, compared with its own size. */
export interface RatioLimit {
  readonly maxRatio: number;
  /** The ratio is judged only beyond this number of uncompressed bytes. */
  readonly ratioFreeBytes: number;
}

/** Stops a source that unpacks to more than its ratio allows. */
export class RatioMeter {
  #inflated = 0;

  constructor(
    private readonly limit: RatioLimit,
    private readonly display: string,
  ) {}

  /**
   * @param inflated bytes that came out since the last call
   * @param compressed bytes used up so far
   * @throws SluiceError SOURCE_TOO_LARGE
   */
  count(inflated: number, compressed: number): void {
    const { maxRatio, ratioFreeBytes } = this.limit;
    this.#inflated += inflated;
    if (this.#inflated > ratioFreeBytes && this.#inflated > compressed * maxRatio) {
      const what = `${this.display} unpacks to more than ${maxRatio} times its size`;
      throw new SluiceError('SOURCE_TOO_LARGE', `${what}; that looks like a zip bomb.`, {
        file: this.display,
      });
    }
  }
}

/** Zero, and what the eye does not see: TAB, LF, VT, FF, CR, blank; the 0x1a of DOS. */
const PADDING = new Set([0x00, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1a, 0x20]);

/** Whether bytes behind the end of an archive mean nothing. */
export function isPadding(bytes: Buffer): boolean {
  return bytes.every((byte) => PADDING.has(byte));
}

/** The error of a compressed source that contradicts itself. */
export function corrupt(display: string, what: string): SluiceError {
  return new SluiceError('SOURCE_CORRUPT', `${display} is damaged: ${what}.`, { file: display });
}

/**
 * Runs a decoder of node:zlib over the reader's bytes until the compressed data ends by itself; what follows it
 * is left in the reader. Memory: one chunk in, one chunk out; the reader is asked only when the decoder is hungry.
 * @throws SluiceError SOURCE_TRUNCATED, SOURCE_CORRUPT, and whatever reading throws
 */
export async function* inflate(reader: ByteReader, decoder: Gunzip | InflateRaw): AsyncGenerator<Buffer> {
  const feed = feedOf(reader, decoder);
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    throw asSourceError(error, reader.display);
  } finally {
    decoder.destroy();
  }
  const { lastChunk, fedBytes } = await feed;
  reader.putBack(lastChunk.subarray(lastChunk.length - (fedBytes - decoder.bytesWritten)));
}

/** Writes one chunk at a time; never rejects: a failed read destroys the decoder, whose reader gets the error. */
async function feedOf(
  reader: ByteReader,
  decoder: Gunzip | InflateRaw,
): Promise<{ lastChunk: Buffer; fedBytes: number }> {
  let lastChunk: Buffer = Buffer.alloc(0);
  let fedBytes = 0;
  let goOn = (): void => undefined;
  // A decoder that is destroyed while it works on a chunk does not call back for it.
  decoder.once('close', () => {
    goOn();
  });
  try {
    // It takes no more than its compressed data: a chunk not used up was the last.
    while (!decoder.destroyed && decoder.bytesWritten === fedBytes) {
      const chunk = await reader.next();
      if (chunk === null) {
        decoder.end();
        break;
      }
      lastChunk = chunk;
      fedBytes += chunk.length;
      await new Promise<void>((resolve) => {
        goOn = resolve;
        decoder.write(chunk, () => {
          resolve();
        });
      });
    }
  } catch (error) {
    decoder.destroy(error as Error);
  }
  return { lastChunk, fedBytes };
}

function asSourceError(error: unknown, display: string): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || !code.startsWith('Z_')) return error;
  if (code === 'Z_BUF_ERROR') return truncated(display);
  return corrupt(display, `its compressed data cannot be read (${code})`);
}
