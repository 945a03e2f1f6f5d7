import { Readable } from 'node:stream';
import { crc32, gzipSync } from 'node:zlib';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ByteReader } from '../byte-reader.js';
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

  it.each([
    ['a line feed', '\n'],
    ['CR LF', '\r\n'],
    ['zeros', '\0'.repeat(5000)],
    ['zeros and a line feed', `${'\0'.repeat(500)}\n`],
    ['blanks and SUB', '  \t\x1a'],
  ])('skips %s behind the last member, in pieces of any size', async (_, padding) => {
    const packed = Buffer.concat([gzipSync('con'), gzipSync('tent'), Buffer.from(padding)]);
    for (const pieceBytes of [1, 7, packed.length - padding.length, 10_000]) {
      await expect(unpack(packed, pieceBytes)).resolves.toEqual(Buffer.from('content'));
    }
  });

  it.each(['x', 'garbage', '\n\nid,name', '\x1f', '\x1f\x8bno', `\n${gzipSync('more').toString('latin1')}`])(
    'says that %j follows a whole gzip, in pieces of any size',
    async (more) => {
      const whole = gzipSync('content');
      const packed = Buffer.concat([whole, Buffer.from(more, 'latin1')]);
      const isStart = more.startsWith('\x1f');
      for (const pieceBytes of [1, 7, whole.length, 10_000]) {
        await expect(unpack(packed, pieceBytes)).rejects.toMatchObject(
          isStart
            ? { code: expect.stringMatching(/SOURCE_TRUNCATED|SOURCE_CORRUPT/) }
            : {
                code: 'SOURCE_CORRUPT',
                message: `test.gz is damaged: something follows the end of the gzip, which is whole in its first ${whole.length} bytes.`,
              },
        );
      }
    },
  );

  it('reads members with every field of the header, and checks the header', async () => {
    const plain = gzipSync('content');
    const fields = Buffer.from('0400aabbccdd' + '6e616d6500' + '6100', 'hex');
    const head = Buffer.concat([Buffer.from('1f8b081e000000000003', 'hex'), fields]);
    const sum = Buffer.alloc(2);
    sum.writeUInt16LE(crc32(head) & 0xffff);
    const body = plain.subarray(10);
    for (const pieceBytes of [1, 1000]) {
      const packed = Buffer.concat([head, sum, body, head, sum, body]);
      await expect(unpack(packed, pieceBytes)).resolves.toEqual(Buffer.from('contentcontent'));
    }
    await expect(unpack(Buffer.concat([head, Buffer.from('zz'), body]))).rejects.toEqual(
      withCode('SOURCE_CORRUPT'),
    );
    const reserved = Buffer.from(plain);
    reserved[3] = 0x20;
    await expect(unpack(reserved)).rejects.toEqual(withCode('SOURCE_CORRUPT'));
    const endless = Buffer.concat([Buffer.from('1f8b0808000000000003', 'hex'), Buffer.alloc(1e6, 'n')]);
    await expect(unpack(endless)).rejects.toEqual(withCode('SOURCE_CORRUPT'));
  });

  it('unpacks members of any size behind the first one', async () => {
    const large = randomBytes(1_000_000);
    const zeros = Buffer.alloc(1_000_000);
    const contents = [Buffer.from('first'), large, Buffer.alloc(0), zeros, Buffer.from('last')];
    const packed = Buffer.concat(contents.map((content) => gzipSync(content)));
    expect((await unpack(packed, 65_536)).equals(Buffer.concat(contents))).toBe(true);
  });

  it('skips a hundred thousand members of nothing', async () => {
    const packed = Buffer.concat([...Array<Buffer>(100_000).fill(gzipSync('')), gzipSync('end')]);
    await expect(unpack(packed, 65_536)).resolves.toEqual(Buffer.from('end'));
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
