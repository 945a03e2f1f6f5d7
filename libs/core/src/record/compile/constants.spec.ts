import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { MAX_SOURCE_BYTES, provenanceContext } from './constants.js';

const JOB = { job: '550e8400-e29b-41d4-a716-446655440000', startedAt: '2026-09-01T00:00:00.000Z' };
const stored = (source: string): string => provenanceContext({ ...JOB, source })['sluice:source'] ?? '';
const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

describe('the address that provenance stores', () => {
  it('is whole up to 512 bytes of JSON, and loses its middle beyond', () => {
    const whole = `https://example.org/${'a'.repeat(MAX_SOURCE_BYTES - 24)}.csv`;
    expect(stored(whole)).toBe(whole);
    const long = stored(`https://example.org/${'a'.repeat(4096)}/taxes.csv`);
    expect(long).toMatch(/^https:\/\/example\.org\/a+…a+\/taxes\.csv$/);
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(MAX_SOURCE_BYTES);
  });

  it('keeps the facts of a job within 644 bytes, with any content, and is cut between characters', () => {
    const parts = ['/data/', '"', '\\', '稅', '😀', '\u{FFFD}', 'a'.repeat(300)];
    const addresses = fc.oneof(
      fc.array(fc.constantFrom(...parts), { maxLength: 800 }).map((some) => some.join('')),
      fc.string({ unit: anyCharacter, maxLength: 3000 }),
    );
    fc.assert(
      fc.property(addresses, (address) => {
        const short = stored(address);
        expect(bytes(provenanceContext({ ...JOB, source: address }))).toBeLessThanOrEqual(644);
        if (short === address) return;
        expect(bytes(address)).toBeGreaterThan(MAX_SOURCE_BYTES + 2);
        const at = Array.from(short).indexOf('…');
        expect(short.isWellFormed()).toBe(true);
        expect(address.startsWith(Array.from(short).slice(0, at).join(''))).toBe(true);
        expect(bytes(short)).toBeGreaterThan(MAX_SOURCE_BYTES - 24);
      }),
    );
  });
});
