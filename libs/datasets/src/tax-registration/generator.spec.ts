import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { GenerateOptions } from '#core/dataset/generate.js';
import { expectFile } from '#test/support/oracle.js';
import { DEFECTS, ODDITIES } from './defects.js';
import { generate } from './generator.js';
import { readPrologue } from './prologue.js';

function file(options: GenerateOptions): Buffer {
  return Buffer.concat([...generate(options)]);
}

describe('generator of extracts', () => {
  // TG1
  it('gives the same bytes for the same options, on every machine', () => {
    const options = { rows: 500, seed: 9, defectShare: 0.1, repeatShare: 0.1 };
    expect(file(options).equals(file(options))).toBe(true);
    expect(file(options).equals(file({ ...options, seed: 10 }))).toBe(false);
    expect(createHash('sha256').update(file(options)).digest('hex')).toMatchInlineSnapshot(
      `"0881103c87a8721be789b74d2521ad70f0a46e4b934f1b4209f876638783953a"`,
    );
  });

  // TG2
  it.each([0, 1, 2, 999, 1000])('makes exactly %i records', (rows) => {
    for (const seed of [1, 2, 3]) {
      expect(expectFile(file({ rows, seed, defectShare: 0.5, repeatShare: 0.1 })).counts.read).toBe(rows);
    }
  });

  // TG3
  it('makes rows that load when neither defects nor repeats are asked for; only odd quotes are warnings', () => {
    const { counts, findings, industries } = expectFile(
      file({ rows: 20_000, seed: 4, defectShare: 0, repeatShare: 0 }),
    );
    expect(counts).toMatchObject({ read: 20_000, loaded: 20_000 });
    expect(findings).toEqual({ STRAY_QUOTE: expect.any(Number) });
    const slots = [...industries.values()].map((rows) => rows.length);
    expect(new Set(slots)).toEqual(new Set([1, 2, 3, 4]));
  });

  it('repeats no number when no repeats are asked for, however many defects there are', () => {
    for (const seed of [8, 9, 10]) {
      const { findings } = expectFile(file({ rows: 20_000, seed, defectShare: 0.2, repeatShare: 0 }));
      expect(findings).toMatchObject({ INVALID_BAN_CHECKSUM: expect.any(Number) });
      expect(findings).not.toHaveProperty('DUPLICATE');
    }
  });

  it('makes as many defects and repeats as asked', () => {
    const { counts, findings } = expectFile(
      file({ rows: 20_000, seed: 5, defectShare: 0, repeatShare: 0.01 }),
    );
    expect(counts.refusedAtLoad).toBeGreaterThan(150);
    expect(counts.refusedAtLoad).toBeLessThan(250);
    expect(findings).toEqual({ DUPLICATE: counts.refusedAtLoad, STRAY_QUOTE: expect.any(Number) });
  });

  it('gives every finding of README section 6 that a small record can have, and skipped records', () => {
    const { findings, counts } = expectFile(
      file({ rows: 2000, seed: 6, defectShare: 0.1, repeatShare: 0.02 }),
    );
    expect(Object.keys(findings).sort()).toEqual([
      'BAD_CAPITAL',
      'BAD_DATE',
      'BAD_INVOICE_FLAG',
      'DUPLICATE',
      'FIELD_TOO_LONG',
      'INVALID_BAN',
      'INVALID_BAN_CHECKSUM',
      'INVALID_HQ_BAN',
      'MALFORMED_ROW',
      'NUL_REMOVED',
      'ORPHAN_INDUSTRY',
      'STRAY_QUOTE',
    ]);
    expect(counts.skipped).toBeGreaterThan(0);
  });

  it('takes every defect in turn', () => {
    // One defect makes two records, and one is followed by a good one.
    const { counts } = expectFile(
      file({ rows: DEFECTS.length + 2, seed: 7, defectShare: 1, repeatShare: 0 }),
    );
    const skipped = DEFECTS.filter(({ name }) => /^blank line|^row of/.test(name)).length;
    expect(counts.skipped).toBe(skipped);
    expect(new Set([...DEFECTS, ...ODDITIES].map(({ name }) => name)).size).toBe(
      DEFECTS.length + ODDITIES.length,
    );
  });

  it('begins as the published file does', () => {
    expect(readPrologue(file({ rows: 1, seed: 8 }), true)).toMatchObject({
      context: { date: '2026-09-01' },
      findings: [],
    });
  });

  it('never holds more than a chunk', () => {
    const sizes = Array.from(generate({ rows: 20_000, seed: 1 }), (chunk) => chunk.length);
    expect(sizes.length).toBeGreaterThan(10);
    expect(Math.max(...sizes)).toBeLessThan(256 * 1024);
  });

  it('refuses more rows than there are numbers', () => {
    expect(() => [...generate({ rows: 10_000_001, seed: 1 })]).toThrow(RangeError);
  });
});
