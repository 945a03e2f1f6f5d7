import { Decompress } from 'fzstd';
import { assertWithin } from './bounded.js';

const MAGIC = 0xfd2fb528;
/** Frames that hold nothing of the content begin with one of sixteen numbers from here on. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const MIN_WINDOW_BITS = 10;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/** @throws Error when it is none, is cut off, or unpacks to more than `maxBytes` */
export function inflateZstd(bytes: Buffer, maxBytes: number): Buffer {
  checkFrames(bytes, maxBytes);
  const chunks: Uint8Array[] = [];
  let sum = 0;
  const stream = new Decompress((chunk) => {
    sum += chunk.length;
    assertWithin(sum, maxBytes);
    // A view of the window, which is written over by the next block.
    chunks.push(chunk.slice());
  });
  stream.push(bytes, true);
  return Buffer.concat(chunks);
}

/**
 * Walks over every frame's head and blocks (RFC 8878, section 3.1): the library allocates the window that a head asks for,
 * even two gigabytes.
 */
function checkFrames(bytes: Buffer, maxBytes: number): void {
  for (let at = 0; at < bytes.length;) {
    const magic = bytes.readUInt32LE(at);
    if (magic - (magic & 0x0f) === SKIPPABLE_MAGIC) at += 8 + bytes.readUInt32LE(at + 4);
    else if (magic === MAGIC) at = endOfFrame(bytes, at, maxBytes);
    else throw new RangeError('it does not begin with the magic of a frame');
    if (at > bytes.length) throw new RangeError('it is cut off');
  }
}

function endOfFrame(bytes: Buffer, begin: number, maxBytes: number): number {
  const flags = bytes.readUInt8(begin + 4);
  const isSingleSegment = (flags & 0x20) !== 0;
  const hasChecksum = (flags & 0x04) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][flags & 0x03] ?? 0;
  const sizeCode = flags >> 6;
  const sizeBytes = sizeCode === 0 ? (isSingleSegment ? 1 : 0) : 2 ** sizeCode;
  let at = begin + 5;
  if (!isSingleSegment) {
    const descriptor = bytes.readUInt8(at);
    const base = 2 ** (MIN_WINDOW_BITS + (descriptor >> 3));
    assertWithin(base + (base / 8) * (descriptor & 0x07), maxBytes);
    at += 1;
  }
  at += dictionaryBytes;
  if (sizeBytes > 0) assertWithin(contentSize(bytes, at, sizeBytes), maxBytes);
  at += sizeBytes;
  for (;;) {
    const head = bytes.readUIntLE(at, 3);
    const type = (head >> 1) & 0x03;
    if (type === RESERVED_BLOCK) throw new RangeError('a block of it is of no known kind');
    at += 3 + (type === RLE_BLOCK ? 1 : head >> 3);
    if ((head & 1) === 1) return at + (hasChecksum ? 4 : 0);
  }
}

function contentSize(bytes: Buffer, at: number, sizeBytes: number): number {
  if (sizeBytes === 8) return Number(bytes.readBigUInt64LE(at));
  return bytes.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
}
