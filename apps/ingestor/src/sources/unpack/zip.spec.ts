import { Readable } from 'node:stream';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type AsyncZippable, Unzip, UnzipInflate, Zip, ZipDeflate, ZipPassThrough, zipSync } from 'fflate';
import { ByteReader } from '../byte-reader.js';
import { RatioMeter } from './inflate.js';
import { unzip } from './zip.js';

/** ZP1 to ZP4 are the invariants of zip.ts. */

const TEXT = Buffer.from(Array.from({ length: 400 }, (_, n) => `line ${n * n}\n`).join(''));
const GENEROUS = { maxRatio: 2000, ratioFreeBytes: 1e9 };

function inPieces(bytes: Buffer, size: number): AsyncIterable<Buffer> {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })(),
  );
}

/** @returns what came out, and the code of the error that ended it; null if it ended well */
async function unpack(
  zip: Buffer,
  pieceBytes = 1000,
  limit = GENEROUS,
): Promise<{ bytes: Buffer; code: string | null }> {
  const chunks: Buffer[] = [];
  const reader = new ByteReader(inPieces(zip, pieceBytes), 'test.zip');
  try {
    for await (const chunk of unzip(reader, new RatioMeter(limit, 'test.zip'))) chunks.push(chunk);
    return { bytes: Buffer.concat(chunks), code: null };
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { bytes: Buffer.concat(chunks), code: `${code}: ${message}` };
  }
}

async function expectWhole(zip: Buffer, content: Buffer, pieceBytes?: number): Promise<void> {
  const { bytes, code } = await unpack(zip, pieceBytes);
  expect(code).toBeNull();
  expect(bytes.equals(content)).toBe(true);
}

/** How a member is written; by default as an ordinary zip tool does. */
interface Writing {
  readonly content?: Buffer;
  readonly packed?: Buffer;
  readonly method?: number;
  readonly flags?: number;
  readonly name?: string;
  readonly crc?: number;
  readonly unpackedBytes?: number;
  readonly packedBytes?: number;
  readonly zip64?: boolean;
  /** Sums behind the data instead of before it. */
  readonly descriptor?: 'signed' | 'unsigned' | 'signed 64' | 'unsigned 64';
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Local header, data and descriptor (APPNOTE 4.3.7 to 4.3.9), and what the directory says of them (4.3.12). */
function member(writing: Writing = {}): { local: Buffer; central: Buffer } {
  const content = writing.content ?? TEXT;
  const method = writing.method ?? 8;
  const packed = writing.packed ?? (method === 8 ? deflateRawSync(content) : content);
  const crc = writing.crc ?? crc32(content);
  const packedBytes = writing.packedBytes ?? packed.length;
  const unpackedBytes = writing.unpackedBytes ?? content.length;
  const name = Buffer.from(writing.name ?? 'data.csv');
  const { descriptor, zip64 = false } = writing;
  const flags = u16((writing.flags ?? 0) | (descriptor ? 8 : 0));
  const size = descriptor?.endsWith('64') ? u64 : u32;
  const inHeader = (value: number): Buffer => u32(descriptor ? 0 : zip64 ? 0xffffffff : value);
  const other = Buffer.concat([u16(0x9999), u16(3), Buffer.from('abc')]);
  const extra = zip64 ? Buffer.concat([other, u16(1), u16(16), u64(unpackedBytes), u64(packedBytes)]) : other;
  const trailer = Buffer.concat([
    ...(descriptor?.startsWith('signed') ? [Buffer.from('PK\x07\x08', 'latin1')] : []),
    ...(descriptor ? [u32(crc), size(packedBytes), size(unpackedBytes)] : []),
  ]);
  const common = [u16(45), flags, u16(method), u32(0)];
  const local = Buffer.concat([
    Buffer.from('PK\x03\x04', 'latin1'),
    ...common,
    u32(descriptor ? 0 : crc),
    inHeader(packedBytes),
    inHeader(unpackedBytes),
    u16(name.length),
    u16(extra.length),
    name,
    extra,
    packed,
    trailer,
  ]);
  const central = Buffer.concat([
    Buffer.from('PK\x01\x02', 'latin1'),
    u16(45),
    ...common,
    u32(crc),
    u32(packedBytes),
    u32(unpackedBytes),
    u16(name.length),
    u16(0),
    u16(2),
    Buffer.alloc(12),
    name,
    Buffer.from('!!'),
  ]);
  return { local, central };
}

function end(comment = 'a comment'): Buffer {
  return Buffer.concat([
    Buffer.from('PK\x05\x06', 'latin1'),
    Buffer.alloc(16),
    u16(comment.length),
    Buffer.from(comment),
  ]);
}

function zipOf(...members: { local: Buffer; central: Buffer }[]): Buffer {
  return Buffer.concat([
    ...members.map(({ local }) => local),
    ...members.map(({ central }) => central),
    end(),
  ]);
}

describe('the only member of a zip', () => {
  it.each<[string, Writing]>([
    ['deflated', {}],
    ['stored', { method: 0 }],
    ['with ZIP64 sizes', { zip64: true }],
    ['stored with ZIP64 sizes', { method: 0, zip64: true }],
    ['with a data descriptor', { descriptor: 'signed' }],
    ['with an unsigned data descriptor', { descriptor: 'unsigned' }],
    ['with a ZIP64 data descriptor', { descriptor: 'signed 64', zip64: true }],
    ['with a 64-bit data descriptor without ZIP64 field', { descriptor: 'signed 64' }],
    ['with an unsigned ZIP64 data descriptor', { descriptor: 'unsigned 64' }],
    ['stored with a data descriptor', { method: 0, descriptor: 'signed' }],
    ['stored with a ZIP64 data descriptor', { method: 0, descriptor: 'signed 64' }],
    ['with a name in UTF-8', { name: '資料.csv', flags: 0x800 }],
  ])('is read %s, in pieces of any size', async (_how, writing) => {
    for (const pieceBytes of [1, 7, 1000, 1e9]) await expectWhole(zipOf(member(writing)), TEXT, pieceBytes);
  });

  it('is read from what another writer makes', async () => {
    const files: AsyncZippable = { 'data.csv': TEXT };
    await expectWhole(Buffer.from(zipSync(files as Record<string, Uint8Array>)), TEXT);
    for (const file of [new ZipDeflate('data.csv'), new ZipPassThrough('data.csv')]) {
      const pieces: Uint8Array[] = [];
      const zip = new Zip((_error, piece) => pieces.push(piece));
      zip.add(file);
      file.push(TEXT, true);
      zip.end();
      await expectWhole(Buffer.concat(pieces), TEXT);
    }
  });

  it('is read though CR LF follows the end of the zip', async () => {
    await expectWhole(Buffer.concat([zipOf(member()), Buffer.from('\r\n')]), TEXT, 1);
  });

  it('may contain what looks like records of a zip (ZP1)', async () => {
    const { local, central } = member({ content: Buffer.from('inner') });
    const content = Buffer.concat([
      local,
      central,
      Buffer.from('PK\x07\x08PK\x07\x08PK'.repeat(5), 'latin1'),
      end(),
    ]);
    const storedBlocks = deflateRawSync(content, { level: 0 });
    expect(storedBlocks.includes(Buffer.from('PK\x03\x04', 'latin1'))).toBe(true);
    for (const pieceBytes of [1, 5, 1000]) {
      for (const descriptor of ['signed', 'signed 64'] as const) {
        await expectWhole(zipOf(member({ content, packed: storedBlocks, descriptor })), content, pieceBytes);
        await expectWhole(zipOf(member({ content, method: 0, descriptor })), content, pieceBytes);
      }
    }
    // Why fflate is not used: it takes those bytes for the end of the data.
    const unzipper = new Unzip();
    unzipper.register(UnzipInflate);
    const found: string[] = [];
    unzipper.onfile = ({ name }) => found.push(name);
    unzipper.push(zipOf(member({ content, packed: storedBlocks, descriptor: 'signed' })), true);
    expect(found.length).toBeGreaterThan(1);
  });

  it('is read though it begins like the end of an empty member', async () => {
    const content = Buffer.from(`PK\x07\x08${'\0'.repeat(12)}and goes on`, 'latin1');
    await expectWhole(
      zipOf(member({ content, packed: content, method: 0, descriptor: 'signed' })),
      content,
      1,
    );
  });

  it('is read whatever its bytes are', async () => {
    const writings = fc.record({
      content: fc.oneof(
        fc.uint8Array({ maxLength: 5000 }),
        fc.array(fc.constantFrom('PK', '\x07\x08', '\x01\x02', '\x03\x04', '\0\0\0\0'), { maxLength: 60 }),
      ),
      level: fc.integer({ min: 0, max: 9 }),
      method: fc.constantFrom(0, 8),
      zip64: fc.boolean(),
      descriptor: fc.constantFrom(undefined, 'signed' as const, 'signed 64' as const),
      pieceBytes: fc.integer({ min: 1, max: 200 }),
    });
    await fc.assert(
      fc.asyncProperty(writings, async ({ content: given, level, method, zip64, descriptor, pieceBytes }) => {
        const content = Array.isArray(given) ? Buffer.from(given.join(''), 'latin1') : Buffer.from(given);
        // An empty member and a directory, stored as data: nothing distinguishes them from the end.
        fc.pre(method === 8 || !/^PK\x07\x08\0{12,20}PK/.test(content.toString('latin1')));
        const packed = method === 8 ? deflateRawSync(content, { level }) : content;
        const writing = { content, packed, method, zip64, ...(descriptor ? { descriptor } : {}) };
        await expectWhole(zipOf(member(writing)), content, pieceBytes);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a zip is refused', () => {
  it.each<[string, Buffer, RegExp]>([
    ['with two members', zipOf(member(), member({ name: 'b.csv' })), /UNSUPPORTED.*more than one member/],
    [
      'with a second member behind a descriptor',
      zipOf(member({ descriptor: 'signed' }), member()),
      /UNSUPPORTED.*more than one/,
    ],
    [
      'with a second member that only the directory knows',
      Buffer.concat([member().local, member().central, member().central, end()]),
      /more than one/,
    ],
    [
      'with another zip behind it',
      Buffer.concat([zipOf(member()), zipOf(member())]),
      /CORRUPT.*follows the end/,
    ],
    ['encrypted', zipOf(member({ flags: 1 })), /UNSUPPORTED.*encrypted/],
    ['strongly encrypted', zipOf(member({ flags: 0x41 })), /UNSUPPORTED.*encrypted/],
    ['packed by Deflate64', zipOf(member({ method: 9 })), /UNSUPPORTED.*Deflate64/],
    ['packed by something unknown', zipOf(member({ method: 77 })), /UNSUPPORTED.*method 77/],
    [
      'that begins with a folder',
      zipOf(member({ name: 'dir/', content: Buffer.alloc(0), method: 0 }), member()),
      /UNSUPPORTED.*folder/,
    ],
    ['with a wrong checksum (ZP2)', zipOf(member({ crc: 1 })), /CORRUPT.*checksum/],
    [
      'with a wrong checksum in the descriptor',
      zipOf(member({ crc: 1, descriptor: 'signed' })),
      /CORRUPT.*checksum/,
    ],
    ['with a wrong size', zipOf(member({ unpackedBytes: 5 })), /CORRUPT.*size/],
    ['with a wrong packed size', zipOf(member({ packedBytes: 5 })), /CORRUPT.*size/],
    ['stored with too large a size', zipOf(member({ method: 0, packedBytes: 1e9 })), /TRUNCATED/],
    [
      'with damaged data',
      zipOf(member({ packed: Buffer.from('ffffffff', 'hex') })),
      /CORRUPT.*cannot be read/,
    ],
    [
      'with junk behind the member',
      Buffer.concat([member().local, Buffer.from('junk'), member().central, end()]),
      /CORRUPT.*no zip record/,
    ],
    ['without a directory', Buffer.concat([member().local, end()]), /CORRUPT.*directory/],
  ])('%s', async (_how, zip, reason) => {
    const { code } = await unpack(zip);
    expect(code).toMatch(reason);
  });

  it('cut anywhere (ZP4)', async () => {
    const small = Buffer.from('a small content');
    for (const writing of [
      {},
      { method: 0 },
      { descriptor: 'signed 64' },
      { method: 0, descriptor: 'signed' },
    ] as const) {
      const zip = zipOf(member({ content: small, ...writing }));
      for (let length = 4; length < zip.length; length++) {
        const { code } = await unpack(zip.subarray(0, length), 10);
        expect({ length, code }).toEqual({ length, code: expect.stringContaining('SOURCE_TRUNCATED') });
      }
    }
  });

  it('that is a bomb, long before it is unpacked', async () => {
    const content = Buffer.alloc(8 * 1024 * 1024);
    const packed = deflateRawSync(content, { level: 9 });
    expect(inflateRawSync(packed).length / packed.length).toBeGreaterThan(900);
    const zip = zipOf(member({ content, packed }));
    const { bytes, code } = await unpack(zip, 1000, { maxRatio: 200, ratioFreeBytes: 1024 * 1024 });
    expect(code).toMatch(/SOURCE_TOO_LARGE.*zip bomb/);
    expect(bytes.length).toBeLessThanOrEqual(1024 * 1024);
  });
});
