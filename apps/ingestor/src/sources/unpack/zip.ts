import { crc32, createInflateRaw } from 'node:zlib';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type ByteReader, truncated } from '../byte-reader.js';
import { INFLATED_CHUNK_BYTES, type RatioMeter, corrupt, inflate } from './inflate.js';
import {
  DESCRIPTOR_SIGNATURE,
  LONGEST_DESCRIPTOR_BYTES,
  type LocalHeader,
  type MemberSums,
  descriptorLength,
  mayFollowMember,
  readLocalHeader,
  readToEnd,
} from './zip-records.js';

/**
 * The only member of a zip, streamed from its local header: a source may come by HTTP, where the directory at the
 * end of the file cannot be read first.
 *
 * - ZP1: Deflated data ends where deflate says so, never where bytes look like a record: compressed data may contain any
 *   signature. (fflate's streaming Unzip searches for three of them when the size is in a data descriptor; one of
 *   the three occurs by chance about every 1.4 GB. Other well-kept libraries need the directory first. So this is
 *   node:zlib and the few records of zip-records.ts.)
 * - ZP2: the member's CRC-32 and both sizes are compared with what was read, wherever the zip states them.
 * - ZP3: a second member, known at the latest from the directory, fails the source as a whole.
 * - ZP4: the stream ends well only if the zip is there to its end record.
 *
 * @throws SluiceError SOURCE_UNSUPPORTED, SOURCE_TRUNCATED, SOURCE_CORRUPT, SOURCE_TOO_LARGE
 */
export async function* unzip(reader: ByteReader, meter: RatioMeter): AsyncGenerator<Buffer> {
  const header = await readLocalHeader(reader);
  refuseUnreadable(header, reader.display);
  const start = reader.taken;
  let crc = 0;
  let unpackedBytes = 0;
  for await (const chunk of memberBytes(reader, header, meter)) {
    crc = crc32(chunk, crc);
    unpackedBytes += chunk.length;
    yield chunk;
  }
  const found: MemberSums = { crc32: crc, packedBytes: reader.taken - start, unpackedBytes };
  await compare(reader, header, found); // ZP2
  if ((await readToEnd(reader)) > 1) throw unsupported(reader.display, 'is a zip with more than one member'); // ZP3, ZP4
}

const STORED = 0;
const DEFLATED = 8;

const METHOD_NAMES: Readonly<Record<number, string>> = {
  9: 'Deflate64',
  12: 'bzip2',
  14: 'LZMA',
  93: 'Zstandard',
  95: 'xz',
  98: 'PPMd',
};

function refuseUnreadable({ encrypted, method, isFolder }: LocalHeader, display: string): void {
  if (encrypted) throw unsupported(display, 'is an encrypted zip');
  if (isFolder) throw unsupported(display, 'is a zip that begins with a folder');
  if (method === STORED || method === DEFLATED) return;
  throw unsupported(
    display,
    `is a zip packed by ${METHOD_NAMES[method] ?? `method ${method}`}, not by deflate`,
  );
}

function memberBytes(reader: ByteReader, header: LocalHeader, meter: RatioMeter): AsyncGenerator<Buffer> {
  if (header.method === DEFLATED) return inflated(reader, meter);
  return header.expected ? stored(reader, header.expected.packedBytes) : storedToDescriptor(reader);
}

async function* inflated(reader: ByteReader, meter: RatioMeter): AsyncGenerator<Buffer> {
  const decoder = createInflateRaw({ chunkSize: INFLATED_CHUNK_BYTES });
  for await (const chunk of inflate(reader, decoder)) {
    meter.count(chunk.length, decoder.bytesWritten);
    yield chunk;
  }
}

async function* stored(reader: ByteReader, length: number): AsyncGenerator<Buffer> {
  for (let left = length; left > 0;) {
    const bytes = await reader.next();
    if (bytes === null) throw truncated(reader.display);
    const own = bytes.subarray(0, left);
    reader.putBack(bytes.subarray(own.length));
    left -= own.length;
    yield own;
  }
}

/**
 * Stored data whose size only its data descriptor knows, as writers to a pipe make it. The end is the first
 * descriptor whose CRC and sizes fit all that came before it, and that a record of the zip follows: bytes that merely
 * look like one do not. (Data that begins with the descriptor of an empty member fits at its very start.)
 */
async function* storedToDescriptor(reader: ByteReader): AsyncGenerator<Buffer> {
  let crc = 0;
  let length = 0;
  for (;;) {
    const bytes = await reader.next();
    if (bytes === null) throw truncated(reader.display);
    const at = bytes.indexOf(DESCRIPTOR_SIGNATURE);
    const own = bytes.subarray(0, at === -1 ? startOfSignature(bytes) : at);
    reader.putBack(bytes.subarray(own.length));
    crc = crc32(own, crc);
    length += own.length;
    if (own.length > 0) yield own;
    const next = await reader.peek(LONGEST_DESCRIPTOR_BYTES + 4);
    const descriptor = descriptorLength(next, { crc32: crc, packedBytes: length, unpackedBytes: length });
    if (descriptor !== null && mayFollowMember(next, descriptor)) return;
    // Not the end: its first byte is data, and the search continues behind it.
    const data = await reader.take(1);
    crc = crc32(data, crc);
    length += 1;
    yield data;
  }
}

/** Where a descriptor's signature might begin that the end of `bytes` cuts. */
function startOfSignature(bytes: Buffer): number {
  for (let kept = 3; kept > 0; kept--) {
    const start = bytes.length - kept;
    if (start >= 0 && bytes.subarray(start).equals(DESCRIPTOR_SIGNATURE.subarray(0, kept))) return start;
  }
  return bytes.length;
}

async function compare(reader: ByteReader, { expected }: LocalHeader, found: MemberSums): Promise<void> {
  if (expected) {
    const same =
      expected.crc32 === found.crc32 &&
      expected.packedBytes === found.packedBytes &&
      expected.unpackedBytes === found.unpackedBytes;
    if (!same) throw wrongSums(reader);
    return;
  }
  const bytes = await reader.peek(LONGEST_DESCRIPTOR_BYTES);
  const length = descriptorLength(bytes, found);
  if (length !== null) await reader.take(length);
  else throw bytes.length < LONGEST_DESCRIPTOR_BYTES ? truncated(reader.display) : wrongSums(reader);
}

function wrongSums(reader: ByteReader): SluiceError {
  return corrupt(reader.display, 'the checksum or size of the member is not what the zip says');
}

function unsupported(display: string, what: string): SluiceError {
  return new SluiceError('SOURCE_UNSUPPORTED', `${display} ${what}.`, { file: display });
}
