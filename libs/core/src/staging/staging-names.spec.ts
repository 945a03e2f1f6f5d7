import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { quotedStagingTable, stagingPrefix, stagingTable } from './staging-names.js';

const JOB = '0199d1a2-7b3c-7def-8123-456789abcdef';

describe('staging names', () => {
  it('begin with the job’s id and end with the table’s name', () => {
    expect(stagingTable('shop', JOB)).toBe('0199d1a27b3c7def8123456789abcdef_shop');
    expect(quotedStagingTable('shop', JOB)).toBe('sluice_staging."0199d1a27b3c7def8123456789abcdef_shop"');
    expect(stagingTable('shop', JOB.toUpperCase()).startsWith(stagingPrefix(JOB))).toBe(true);
  });

  it('are at most 63 bytes long, whole characters, and differ when the tables differ', () => {
    const name = fc.string({ minLength: 1, maxLength: 80, unit: anyCharacter });
    fc.assert(
      fc.property(name, name, (one, other) => {
        const staged = stagingTable(one, JOB);
        expect(Buffer.byteLength(staged)).toBeLessThanOrEqual(63);
        expect(staged).not.toContain('\uFFFD');
        expect(staged === stagingTable(other, JOB)).toBe(one === other);
      }),
    );
  });

  it('keep long names apart that begin alike', () => {
    const long = 'a_table_with_a_name_as_long_as_postgresql_allows';
    expect(stagingTable(`${long}_1`, JOB)).not.toBe(stagingTable(`${long}_2`, JOB));
  });
});
