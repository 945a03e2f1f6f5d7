import type { ByteReader } from '../byte-reader.js';
import { corrupt, isPadding } from './inflate.js';

/**
 * The records of a zip file as they come by in a stream (PKWARE APPNOTE 6.3.10, section 4.3).
 * Sizes and checksums are those of the record; whether they are true is judged by the caller.
 */
export interface LocalHeader {
  readonly encrypted: boolean;
  readonly method: number;
  readonly isFolder: boolean;
  /** null: the data descriptor behind the data says it. */
  readonly expected: MemberSums | null;
}

/** What is known of a member's data, or was found by reading it. */
export interface MemberSums {
  readonly crc32: number;
  readonly packedBytes: number;
  readonly unpackedBytes: number;
}

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const ARCHIVE_EXTRA_DATA = 0x08064b50;
const DIGITAL_SIGNATURE = 0x05054b50;
const ZIP64_END = 0x06064b50;
const ZIP64_END_LOCATOR = 0x07064b50;
const END = 0x06054b50;

export const DESCRIPTOR_SIGNATURE = Buffer.from('504b0708', 'hex');
/** Signature, CRC, two sizes of 64 bits. */
export const LONGEST_DESCRIPTOR_BYTES = 24;

const ENCRYPTED = 0x1;
const HAS_DESCRIPTOR = 0x8;
const STRONG_ENCRYPTION = 0x40;
const ZIP64_EXTRA_FIELD = 0x0001;
const IN_ZIP64_FIELD = 0xffffffff;

/** Reads the local file header that the reader stands at (section 4.3.7). */
export async function readLocalHeader(reader: ByteReader): Promise<LocalHeader> {
  const fixed = await reader.take(30);
  const flags = fixed.readUInt16LE(6);
  const name = await reader.take(fixed.readUInt16LE(26));
  const extra = await reader.take(fixed.readUInt16LE(28));
  let packedBytes = fixed.readUInt32LE(18);
  let unpackedBytes = fixed.readUInt32LE(22);
  const wide = zip64Sizes(extra);
  if (wide && unpackedBytes === IN_ZIP64_FIELD) unpackedBytes = wide.unpackedBytes;
  if (wide && packedBytes === IN_ZIP64_FIELD) packedBytes = wide.packedBytes;
  return {
    encrypted: (flags & (ENCRYPTED | STRONG_ENCRYPTION)) !== 0,
    method: fixed.readUInt16LE(8),
    isFolder: name.at(-1) === 0x2f,
    expected: flags & HAS_DESCRIPTOR ? null : { crc32: fixed.readUInt32LE(14), packedBytes, unpackedBytes },
  };
}

/** The ZIP64 extra field of a local header holds both sizes (section 4.5.3). */
function zip64Sizes(extra: Buffer): { packedBytes: number; unpackedBytes: number } | null {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) !== ZIP64_EXTRA_FIELD || length < 16 || at + 20 > extra.length) continue;
    return {
      unpackedBytes: Number(extra.readBigUInt64LE(at + 4)),
      packedBytes: Number(extra.readBigUInt64LE(at + 12)),
    };
  }
  return null;
}

/**
 * How long the data descriptor at the start of `bytes` is, if it is one that says `found`; null if not.
 * Neither its signature nor the width of its sizes is stated beforehand (section 4.3.9), so every form is tried.
 */
export function descriptorLength(bytes: Buffer, found: MemberSums): number | null {
  for (const signed of [true, false]) {
    if (signed && !bytes.subarray(0, 4).equals(DESCRIPTOR_SIGNATURE)) continue;
    for (const sizeBytes of [8, 4]) {
      const crcAt = signed ? 4 : 0;
      const packedAt = crcAt + 4;
      const end = packedAt + 2 * sizeBytes;
      if (bytes.length < end || bytes.readUInt32LE(crcAt) !== found.crc32) continue;
      const packed = sizeAt(bytes, packedAt, sizeBytes);
      const unpacked = sizeAt(bytes, packedAt + sizeBytes, sizeBytes);
      if (
        packed === wrapped(found.packedBytes, sizeBytes) &&
        unpacked === wrapped(found.unpackedBytes, sizeBytes)
      ) {
        return end;
      }
    }
  }
  return null;
}

/** Whether a record that may follow a member's data stands at `at`; true also when the file ends before one could. */
export function mayFollowMember(bytes: Buffer, at: number): boolean {
  if (bytes.length < at + 4) return true;
  return [LOCAL_HEADER, CENTRAL_HEADER, ARCHIVE_EXTRA_DATA].includes(bytes.readUInt32LE(at));
}

function sizeAt(bytes: Buffer, at: number, sizeBytes: number): number {
  return sizeBytes === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at);
}

/** Writers without ZIP64 write the low 32 bits of a large size. */
function wrapped(size: number, sizeBytes: number): number {
  return sizeBytes === 8 ? size : size % 2 ** 32;
}

/**
 * Reads from behind the first member to the end of the file and counts the other members on the way.
 * @returns how many members the file has, as far as that matters: 1, or 2 for more than one
 * @throws SluiceError SOURCE_TRUNCATED, SOURCE_CORRUPT
 */
export async function readToEnd(reader: ByteReader): Promise<1 | 2> {
  let centralHeaders = 0;
  for (;;) {
    const signature = (await reader.take(4)).readUInt32LE();
    switch (signature) {
      case LOCAL_HEADER:
        return 2;
      case CENTRAL_HEADER: {
        const fixed = await reader.take(42);
        await reader.take(fixed.readUInt16LE(24) + fixed.readUInt16LE(26) + fixed.readUInt16LE(28));
        if (++centralHeaders > 1) return 2;
        break;
      }
      case DIGITAL_SIGNATURE:
        await reader.take((await reader.take(2)).readUInt16LE());
        break;
      case ARCHIVE_EXTRA_DATA:
        await reader.take(reasonable(reader, (await reader.take(4)).readUInt32LE()));
        break;
      case ZIP64_END:
        await reader.take(reasonable(reader, Number((await reader.take(8)).readBigUInt64LE())));
        break;
      case ZIP64_END_LOCATOR:
        await reader.take(16);
        break;
      case END:
        await reader.take((await reader.take(18)).readUInt16LE(16));
        if (centralHeaders !== 1) throw corrupt(reader.display, 'the directory of the zip is missing');
        for await (const padding of reader.rest()) {
          if (!isPadding(padding)) throw corrupt(reader.display, 'something follows the end of the zip');
        }
        return 1;
      default:
        throw corrupt(reader.display, 'what follows the member of the zip is no zip record');
    }
  }
}

/** Records that are read whole are small; a length of gigabytes is damage or malice. */
function reasonable(reader: ByteReader, length: number): number {
  if (length > 0xffff) throw corrupt(reader.display, 'a record of the zip is too long');
  return length;
}
