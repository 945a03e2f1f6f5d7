import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import { type ByteReader, truncated } from '../byte-reader.js';
import { INFLATED_CHUNK_BYTES, type RatioMeter, corrupt, inflate, isPadding } from './inflate.js';

/**
 * The content of a gzip of one or more members (RFC 1952 section 2.2).
 *
 * Members are separated here and not by node:zlib's Gunzip: of bytes behind the last member that one says "unexpected
 * end", "incorrect header" or nothing at all, by what they are and how they are cut into chunks.
 * - Each member's CRC and size are compared with what came out.
 * - White space and zeros behind the last member are skipped: padding, and the line feed of a careless script.
 *   Anything else there fails the source, also a further member behind padding, at which gzip(1) stops too.
 */
export async function* gunzip(reader: ByteReader, meter: RatioMeter): AsyncGenerator<Buffer> {
  for (let member = 0; member === 0 || (await isAtMember(reader)); member++) {
    await passHeader(reader);
    let crc = 0;
    let size = 0;
    for await (const chunk of memberBytes(reader, meter, member)) {
      crc = crc32(chunk, crc);
      size = (size + chunk.length) % 2 ** 32;
      if (chunk.length > 0) yield chunk;
    }
    const sums = await reader.take(8);
    if (sums.readUInt32LE(0) !== crc || sums.readUInt32LE(4) !== size) {
      throw corrupt(reader.display, 'the checksum or size of its content is not what the gzip says');
    }
  }
  await passPadding(reader);
}

const MAGIC = Buffer.from('1f8b', 'hex');
const DEFLATED = 8;
const HAS_HEADER_CRC = 0x02;
const HAS_EXTRA = 0x04;
const HAS_NAME = 0x08;
const HAS_COMMENT = 0x10;
const RESERVED = 0xe0;
/** A name and a comment are texts without a length; real ones are short. */
const LONGEST_TEXT_BYTES = 64 * 1024;

/** One last block of nothing: block gzips end with it, and a malicious one is made of it. */
const DEFLATED_NOTHING = Buffer.from('0300', 'hex');

/** Members of block gzips hold 64 KiB: a stream for each would cost more than to unpack it. */
const SMALL_MEMBER_BYTES = 64 * 1024;
const SMALL_CONTENT_BYTES = 256 * 1024;

/** @throws SluiceError SOURCE_TRUNCATED for a source that ends with the first byte of a member */
async function isAtMember(reader: ByteReader): Promise<boolean> {
  const start = await reader.peek(MAGIC.length);
  if (start.length === 1 && start[0] === MAGIC[0]) throw truncated(reader.display);
  return start.equals(MAGIC);
}

async function passHeader(reader: ByteReader): Promise<void> {
  const fixed = await reader.take(10);
  const flags = fixed.readUInt8(3);
  if (fixed.readUInt8(2) !== DEFLATED || (flags & RESERVED) !== 0) {
    throw corrupt(reader.display, 'the header of its gzip is not one');
  }
  let crc = crc32(fixed);
  if (flags & HAS_EXTRA) {
    const length = await reader.take(2);
    crc = crc32(await reader.take(length.readUInt16LE()), crc32(length, crc));
  }
  for (const text of [HAS_NAME, HAS_COMMENT]) {
    if (flags & text) crc = crc32(await takeText(reader), crc);
  }
  if ((flags & HAS_HEADER_CRC) === 0) return;
  if ((await reader.take(2)).readUInt16LE() === (crc & 0xffff)) return;
  throw corrupt(reader.display, 'the checksum of the header of its gzip is wrong');
}

/** The bytes to the next zero, with it. */
async function takeText(reader: ByteReader): Promise<Buffer> {
  for (let length = 64; ; length *= 4) {
    const bytes = await reader.peek(length);
    const end = bytes.indexOf(0);
    if (end >= 0) return reader.take(end + 1);
    if (bytes.length < length) throw truncated(reader.display);
    if (length >= LONGEST_TEXT_BYTES) throw corrupt(reader.display, 'the header of its gzip has no end');
  }
}

async function* memberBytes(reader: ByteReader, meter: RatioMeter, member: number): AsyncGenerator<Buffer> {
  const start = reader.taken;
  if (member > 0) {
    if ((await reader.peek(DEFLATED_NOTHING.length)).equals(DEFLATED_NOTHING)) {
      await reader.take(DEFLATED_NOTHING.length);
      return;
    }
    const small = inflateSmall(await reader.peek(SMALL_MEMBER_BYTES));
    if (small !== null) {
      await reader.take(small.packedBytes);
      meter.count(small.content.length, reader.taken);
      yield small.content;
      return;
    }
  }
  const decoder = createInflateRaw({ chunkSize: INFLATED_CHUNK_BYTES });
  for await (const chunk of inflate(reader, decoder)) {
    meter.count(chunk.length, start + decoder.bytesWritten);
    yield chunk;
  }
}

/** @returns null for a member that is not wholly there, is large, or is damaged: a stream says which */
function inflateSmall(packed: Buffer): { content: Buffer; packedBytes: number } | null {
  try {
    const options = { info: true, maxOutputLength: SMALL_CONTENT_BYTES } as const;
    const { buffer, engine } = inflateRawSync(packed, options) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    return { content: buffer, packedBytes: engine.bytesWritten };
  } catch {
    return null;
  }
}

async function passPadding(reader: ByteReader): Promise<void> {
  const end = reader.taken;
  for await (const bytes of reader.rest()) {
    if (isPadding(bytes)) continue;
    const more = `something follows the end of the gzip, which is whole in its first ${end} bytes`;
    throw corrupt(reader.display, more);
  }
}
