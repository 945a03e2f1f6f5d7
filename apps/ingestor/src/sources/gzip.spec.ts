import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ByteReader } from './byte-reader.js';
import { gunzip } from './gzip.js';
import { RatioMeter } from './inflate.js';

const GENEROUS = { maxRatio: 2000, ratioFreeBytes: 1e9 };

function inPieces(bytes: Buffer, size: number): AsyncIterable<Buffer> {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })(),
  );
}

async function unpack(packed: Buffer, pieceBytes = 1000, limit = GENEROUS): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const reader = new ByteReader(inPieces(packed, pieceBytes), 'test.gz');
  for await (const chunk of gunzip(reader, new RatioMeter(limit, 'test.gz'))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const withCode = (code: string): unknown => expect.objectContaining({ code });

describe('gunzip', () => {
  it('unpacks any number of members, in pieces of any size', async () => {
    const members = fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(members, fc.integer({ min: 1, max: 300 }), async (contents, pieceBytes) => {
        const packed = Buffer.concat(contents.map((content) => gzipSync(content)));
        expect((await unpack(packed, pieceBytes)).equals(Buffer.concat(contents))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('passes over zeros behind the last member', async () => {
    const packed = Buffer.concat([gzipSync('content'), Buffer.alloc(5000)]);
    await expect(unpack(packed)).resolves.toEqual(Buffer.from('content'));
  });

  it('refuses anything else there, also another member behind zeros', async () => {
    const packed = gzipSync('content');
    const behind = [Buffer.from('junk'), Buffer.concat([Buffer.alloc(5000), gzipSync('more')])];
    for (const more of behind) {
      await expect(unpack(Buffer.concat([packed, more]))).rejects.toEqual(withCode('SOURCE_CORRUPT'));
    }
  });

  it('refuses what is cut anywhere', async () => {
    const packed = gzipSync('a small content');
    for (let length = 3; length < packed.length; length++) {
      await expect(unpack(packed.subarray(0, length), 10)).rejects.toEqual(withCode('SOURCE_TRUNCATED'));
    }
  });

  it('refuses a wrong checksum', async () => {
    const packed = gzipSync('content');
    packed.writeUInt8(packed.readUInt8(packed.length - 8) ^ 1, packed.length - 8);
    await expect(unpack(packed)).rejects.toEqual(withCode('SOURCE_CORRUPT'));
  });

  it('refuses a bomb, however it is spread over members', async () => {
    const packed = Buffer.concat(Array.from({ length: 20 }, () => gzipSync(Buffer.alloc(1024 * 1024))));
    const limit = { maxRatio: 200, ratioFreeBytes: 1024 * 1024 };
    await expect(unpack(packed, 1000, limit)).rejects.toEqual(withCode('SOURCE_TOO_LARGE'));
  });

  it('reads no further ahead than it unpacks', async () => {
    const packed = gzipSync(randomBytes(16 * 1024 * 1024), { level: 1 });
    let read = 0;
    async function* counted(): AsyncGenerator<Buffer> {
      for await (const piece of inPieces(packed, 64 * 1024)) {
        read++;
        yield piece;
      }
    }
    const reader = new ByteReader(counted(), 'test.gz');
    const unpacked = gunzip(reader, new RatioMeter(GENEROUS, 'test.gz'));
    await unpacked.next();
    // As often as it would take to read everything, if nothing held it back.
    for (let turn = 0; turn < 1000; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(read).toBeLessThan(20);
    await unpacked.return(undefined);
  });
});
