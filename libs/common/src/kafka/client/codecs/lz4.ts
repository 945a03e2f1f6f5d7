import { decompressFrame } from 'lz4-napi';
import { assertWithin } from './bounded.js';

const MAGIC = 0x184d2204;
const UNPACKED_BLOCK = 0x80000000;
/** No byte of a block stands for more than 255. */
const LARGEST_RATIO = 255;

/** One frame, as KIP-57 has it. @throws Error when it is none, is cut off, or may unpack to more than `maxBytes` */
export async function inflateLz4Frame(bytes: Buffer, maxBytes: number): Promise<Buffer> {
  assertWithin(mostUnpackedBytes(bytes), maxBytes);
  const unpacked = await decompressFrame(bytes);
  assertWithin(unpacked.length, maxBytes);
  return unpacked;
}

/** By the sizes of its blocks: the library itself has no bound. At most a block more than it really is. */
function mostUnpackedBytes(bytes: Buffer): number {
  if (bytes.readUInt32LE(0) !== MAGIC) throw new RangeError('it does not begin with the magic of a frame');
  const flags = bytes.readUInt8(4);
  const hasBlockChecksums = (flags & 0x10) !== 0;
  const hasContentSize = (flags & 0x08) !== 0;
  const hasDictionary = (flags & 0x01) !== 0;
  const blockBytes = 2 ** (8 + 2 * ((bytes.readUInt8(5) >> 4) & 0x07));
  let at = 6 + (hasContentSize ? 8 : 0) + (hasDictionary ? 4 : 0) + 1;
  let sum = 0;
  for (;;) {
    const size = bytes.readUInt32LE(at);
    if (size === 0) return sum;
    const packed = size % UNPACKED_BLOCK;
    sum += size >= UNPACKED_BLOCK ? packed : Math.min(blockBytes, packed * LARGEST_RATIO);
    at += 4 + packed + (hasBlockChecksums ? 4 : 0);
  }
}
