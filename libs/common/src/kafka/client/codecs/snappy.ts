import { uncompress } from 'snappy';
import { assertWithin } from './bounded.js';

/** What Java's clients put before their blocks (xerial/snappy-java); librdkafka and franz-go send one bare block. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
/** Magic, and two version numbers. */
const XERIAL_HEAD_BYTES = 16;

/** @throws Error when it is none, is cut off, or unpacks to more than `maxBytes` */
export async function inflateSnappy(bytes: Buffer, maxBytes: number): Promise<Buffer> {
  const blocks = bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC) ? blocksOf(bytes) : [bytes];
  assertWithin(
    blocks.reduce((sum, block) => sum + unpackedBytes(block), 0),
    maxBytes,
  );
  const unpacked: Buffer[] = [];
  for (const block of blocks) unpacked.push(Buffer.from(await uncompress(block, { asBuffer: true })));
  return unpacked.length === 1 && unpacked[0] ? unpacked[0] : Buffer.concat(unpacked);
}

/** Each with its length before it. */
function blocksOf(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEAD_BYTES; at < bytes.length;) {
    const end = at + 4 + bytes.readInt32BE(at);
    if (end <= at || end > bytes.length) throw new RangeError('a block of it is cut off');
    blocks.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return blocks;
}

/** A block begins with the length of what is in it: seven bits a byte. */
function unpackedBytes(block: Buffer): number {
  let length = 0;
  for (let at = 0; at < 5; at++) {
    const byte = block.readUInt8(at);
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return length;
  }
  throw new RangeError('a block of it has no length');
}
