import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { compressSync } from 'snappy';
import { CODECS, MAX_UNPACKED_BYTES } from './codecs.js';

const MIB = 1024 * 1024;
const [GZIP, SNAPPY, LZ4, ZSTD] = [1, 2, 3, 4] as const;

/** By `zstd -3` from a pipe: a window, no content size, a checksum. */
const ZSTD_TEXT = Array.from({ length: 500 }, (_, i) => `record ${i},${(i * i) % 97},Taipei\n`).join('');
const ZSTD_BYTES = Buffer.from(
  [
    'KLUv/QRYDTEA+kz0CBagJ4UOwJqX2AqqR0gpZUopARZW12oFmQCCAIEAUi9Xi7WKIqIhoZOpRBoF1dDMyHw8Hc4mpoRkRORiqVAm',
    'IXX6XP77Pb/HqxNowtQEOYW3gkNNCzQbZoewSKgKBeoWpm+QTsJbFFwytH5gicI6DFEJRQoUD+MKUoevgu1QqcA+jFwIxoRqA73C',
    'SJCGB3NCx4FjWENsFMoSqBxGGuQMlwVXqAMXBoBgcIBggIAQIQIUKDBAYFAQJFmS5MggRxpnlPHj2JHjxhiDFJygBB8MNsjgghGk',
    'kddca61WUUVEI6GTqUSjoBqakfl4OptNTAnJRORiqUwmIXX6Lv/9ft/jRZ549+zV8+aFVx11nXTv3LXr1kVXHHGccOfMlePGBVcb',
    'bZts37x127bFVjGKxST2mGONxRaLWFFNBRJy+rz/e76P1+RxfbduNdyW2mnbt21btm20LLHDsmfZsmTZYFdaZ12/rl25rrFGKTrR',
    '6KPRRhmNRrSopupFtsjiilEkEnFI6EQqkUZBHJoZmQ+nw9nEUEhGRC6UCmUSwtPn8p/v+T1Ok0fMYk2aM8MsqZxSypdlS5YroySJ',
    'HFLIB1WuKVe5XCxXkT1kIZ9sMplkcpBrPJ7x+OPxcDwxJZYRy8VioVhC6v7c/32f9+Nle2zftk077PLU9WvXNes66qLpoenTpmnS',
    'dNA1zzPPnz3PnOeYKxyecPhhh8MMhyNcVVOtl6tYbVSLStShUk+llkoqBXVoZjqfTofTiamQjFQulQqlAYH3qCEo1+b6G3EEhRDl',
    'MGweESAECUFCMMQwML4BRW7o4ZQ3ZioUPz92lRjhihgmQgT1cdKQhkfgOez8SL/9vTJuUN8Lj0tvOawHVAaKf01iEifg7aEDy+ru',
    'V6iqAdENEB0iLytIkIEPcxfAbDfWHrBDsO3uimeuV2EH7sApOKMYhd44ioML5aB164TSNbN4FPAhnuZZ5NBl8Q4uDYsCaUIZ9Kzq',
    'HPC3WrDMPNvTlmBNQwWXvH9tBKF3RZtSjGWpYxNkqMUxuDBb9MwgHlICAz2uODflUu0Cell8ccURVmLabl6KHOjhkjeQ1U8gOyNG',
    'eEUs+DE550jDI/Acdn6k3/5eGTdo6YXHpbccrAdUAuf+JjkSx+Dt0IEQdPOrVNWA6AaIDoeXFSTIwIe5C2BrG2sP2CHYdnfFA6j+',
    'Cgu4B07hGMX8dD4cvYODcpB1ewbpNjM8KvAhTvMtO+izuASshkWBNKHsdlZ1DvhbLVhmRO1pS7CmoYJL3ro2gtC7ok0pxibUsQky',
    '1OIYXJgeemYQDymBgR6Pm5tyqXYBvSy+pOIIKzFtNy9FjuxwyRtk7SdkZ3cIBxEDP8nOOWkkBJ5CUvqu4KO/K+NGpIfHQy8gWAtU',
    'zM5q8pEIBl6DDp32fg1VcCDKACFrkpUtCIgPyQVEQKZ9wGbHNum6o0kVPnAvnNIZDTFUHOvgjXKE7htkZSbxgOHjlM4F0mjZlwMX',
    'i4JpQqZeVQ+Ai9WW5Xxga3vDakMvLi3jR9C9W9qQYg8W2/QZsjgXLvYjb4bm4SXA0E/fPOWv9gKdLH52W9iP6d28K7IcXnk4svsp',
    '2cGZvIg6nj7OEZCGuWM+YVnV+Rzwphff4xbS0WOm90TKB1SzM2tSJN5wYj90dFr2S6m6ky8/gGhNyYoFORO/cYERUGmnYN9IBnVt',
    'NLNCCtwlS2hGJSaKgzq4YQyiW4OUzEA8tl+g0jkgzTL4WDP07xKy6Jp3gFpOtv7m1trVu1Bzec1oBX94jts+hsz6npiiv46FuTKx',
    '4/gkNAj/Ps35lv75/qlX5RTwY9uvfkPf5V2NbfCSw3fdSWkNLuQz1OH0ccwzuI3lHqxU97eltalmE+JXVw77nMp1rpPuxB1Aze7G',
    'pokdxcKd9kS6zh5GN9lz6BJ7BLp/ns6u3oPfrXuab8Nb7u21K71tdpG3w12vNoNL3T65CtpiF2j10rfJx/CJ5W91+s2S1flAkIVf',
    'RUIeZh/Cv02oTy37iO/7yz7i+/6yj/i+f4U897AgCG9BKzwEWfiVj/tmtM0DbbWcY5lprCX8CeLeAiDeR8s8gqzzJjBiEPIBawW8',
    'WoUq410oIQ==',
  ].join(''),
  'base64',
);
/** By `zstd -19` from a pipe: 3,000,000 times x. */
const ZSTD_BOMB = Buffer.from(
  'KLUv/QRoTAAACHgBAPz/ORACAgAQeAIAEHgCABB4AgAQeAIAEHgCABB4AgAQeAIAEHgCABB4AgAQeAIAEHgCABB4AgAQeAIAEHgCABB4AgAQeAIAEHgCABB4AgAQeAIAEHgCABB4AzYOeJAVSnI=',
  'base64',
);

async function inflate(codec: number, bytes: Buffer, maxBytes = MAX_UNPACKED_BYTES): Promise<Buffer> {
  return (await CODECS.get(codec)?.inflate(bytes, maxBytes)) ?? Buffer.alloc(0);
}

const snappy = (bytes: Buffer): Buffer => Buffer.from(compressSync(bytes));
const xerial = (...blocks: Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]),
    ...blocks.flatMap((block) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(block.length);
      return [length, block];
    }),
  ]);

/** A frame of raw blocks, as RFC 8878 has it. */
function zstdFrame({ window = 0x50, blocks }: { window?: number; blocks: Buffer[] }): Buffer {
  return Buffer.concat([
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, window]),
    ...blocks.flatMap((block, at) => {
      const head = Buffer.alloc(3);
      head.writeUIntLE((block.length << 3) | (at === blocks.length - 1 ? 1 : 0), 0, 3);
      return [head, block];
    }),
  ]);
}

const content = fc.oneof(
  fc.uint8Array({ maxLength: 5_000 }).map((bytes) => Buffer.from(bytes)),
  fc.nat(300_000).map((size) => Buffer.alloc(size, 'abc')),
  fc.nat(300_000).map((size) => randomBytes(size)),
);

describe('what was compressed', () => {
  it.each([
    ['gzip', GZIP, (bytes: Buffer) => gzipSync(bytes)],
    ['snappy, a bare block', SNAPPY, snappy],
    [
      'snappy, Java’s blocks',
      SNAPPY,
      (bytes: Buffer) => xerial(snappy(bytes.subarray(0, 99)), snappy(bytes.subarray(99))),
    ],
    ['lz4', LZ4, (bytes: Buffer) => compressFrameSync(bytes)],
    [
      'lz4 with checksums of blocks',
      LZ4,
      (bytes: Buffer) => compressFrameSync(bytes, { blockChecksums: true, contentChecksum: true }),
    ],
    [
      'zstd, unpacked blocks',
      ZSTD,
      (bytes: Buffer) =>
        zstdFrame({ blocks: [bytes.subarray(0, 99), bytes.subarray(99, 100_000), bytes.subarray(100_000)] }),
    ],
  ])('is read again: %s', async (_what, codec, compress) => {
    await fc.assert(
      fc.asyncProperty(
        content.filter(({ length }) => codec !== ZSTD || length < 200_000),
        async (bytes) => {
          expect((await inflate(codec, compress(bytes))).equals(bytes)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('is read again: zstd’s own compression', async () => {
    expect((await inflate(ZSTD, ZSTD_BYTES)).toString()).toBe(ZSTD_TEXT);
    expect((await inflate(ZSTD, Buffer.concat([ZSTD_BYTES, ZSTD_BYTES]))).length).toBe(2 * ZSTD_TEXT.length);
    expect((await inflate(ZSTD, ZSTD_BOMB)).equals(Buffer.alloc(3_000_000, 'x'))).toBe(true);
  });

  const bomb = Buffer.alloc(3_000_000, 'x');
  it.each([
    ['gzip', GZIP, gzipSync(bomb)],
    ['snappy', SNAPPY, snappy(bomb)],
    [
      'snappy, Java’s blocks',
      SNAPPY,
      xerial(...Array.from({ length: 30 }, () => snappy(bomb.subarray(0, 100_000)))),
    ],
    ['snappy that only claims it', SNAPPY, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00])],
    ['lz4', LZ4, compressFrameSync(bomb)],
    ['zstd', ZSTD, ZSTD_BOMB],
    ['zstd that only asks for a large window', ZSTD, zstdFrame({ window: 0xa8, blocks: [Buffer.from('x')] })],
    [
      'zstd whose second frame asks for it',
      ZSTD,
      Buffer.concat([ZSTD_BYTES, zstdFrame({ window: 0xa8, blocks: [Buffer.from('x')] })]),
    ],
  ])('is not taken when it is larger than the bound: %s', async (_what, codec, bytes) => {
    expect(bytes.length).toBeLessThan(MIB);
    await expect(inflate(codec, bytes, MIB)).rejects.toThrow(`it unpacks to more than ${MIB} bytes`);
  });

  it('is refused when it is damaged, cut off or something else, never more than bounded and never for ever', async () => {
    const whole = [gzipSync(bomb), snappy(bomb), xerial(snappy(bomb)), compressFrameSync(bomb), ZSTD_BYTES];
    const damaged = fc
      .tuple(fc.constantFrom(...whole), fc.nat(), fc.nat(255), fc.nat(2_000))
      .map(([bytes, at, byte, length]) => {
        const copy = Buffer.from(
          bytes.subarray(0, Math.max(1, bytes.length - (length % 3 === 0 ? length : 0))),
        );
        copy[at % copy.length] = byte;
        return copy;
      });
    const foreign = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(damaged, foreign),
        fc.constantFrom(...CODECS.keys()),
        async (bytes, codec) => {
          const unpacked = await inflate(codec, bytes, MIB).catch(() => Buffer.alloc(0));
          expect(unpacked.length).toBeLessThanOrEqual(MIB);
        },
      ),
      { numRuns: 400 },
    );
  });
});
