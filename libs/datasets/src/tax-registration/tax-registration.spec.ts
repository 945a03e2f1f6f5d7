import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { type OracleOptions, expectFile, judgeFile } from '#test/support/oracle.js';
import { readFixtures } from '#core/conformance/fixtures.js';
import { judgeWhole } from '#core/conformance/judge-file.js';
import dataset from './dataset.js';
import { SOURCE_COLUMNS } from './prologue.js';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));

function judge(rows: readonly string[], options: Readonly<Record<string, string>> = {}) {
  const file = Buffer.from([SOURCE_COLUMNS.join(','), ...rows, ''].join('\n'));
  return judgeWhole(dataset, file, { options });
}

describe('fixtures', () => {
  // conformance.spec.ts compares the same files with the product: so all three say the same.
  it('are what the oracle says', async () => {
    const { input, clean, deadLetters } = await readFixtures(dataset, FOLDER);
    const refused = [...judgeFile(input)].filter(
      (outcome) => outcome.is === 'refused' && outcome.stage === 'validate',
    );
    expect(
      deadLetters.map(({ record, line, findings }) => ({
        record,
        line,
        codes: findings.map(({ code }) => code).sort(),
      })),
    ).toEqual(
      refused.map(({ record, line, ...rest }) => ({
        record,
        line,
        codes: 'codes' in rest ? rest.codes : [],
      })),
    );
    const { businesses, counts } = expectFile(input);
    const rows = clean.tables.tax_registration ?? [];
    expect(clean.counts).toMatchObject({
      records: counts.read,
      accepted: counts.accepted,
      skipped: counts.skipped,
    });
    for (const business of businesses.values()) {
      const { _sluice_record: _, ...row } = rows.find(({ ban }) => ban === business.ban) ?? {};
      expect(row).toEqual(business);
    }
  });

  it('hold a record for each rule of the number of a business', async () => {
    const { clean } = await readFixtures(dataset, FOLDER);
    const numbers = clean.tables.tax_registration?.map(({ ban }) => ban);
    expect(numbers).toEqual(
      expect.arrayContaining(['12345675', '12345670', '10000004', '12345678', '00000000']),
    );
  });
});

describe('option checksum (README section 5.4)', () => {
  const rows = ['a,12345678,,n,0,,獨資,N,,,,,,,,', 'a,10000009,,n,0,,獨資,N,,,,,,,,'];

  it.each<[NonNullable<OracleOptions['checksum']>, number, number, number]>([
    ['warn', 2, 0, 1],
    ['off', 2, 0, 0],
    ['reject', 1, 1, 0],
  ])('%s: %i accepted, %i refused, %i warnings', (checksum, accepted, refused, warnings) => {
    const judged = judge(rows, { checksum });
    expect(judged.counts).toMatchObject({ accepted, refused, warnings });
    expect(judged.findings).toEqual(refused + warnings > 0 ? { INVALID_BAN_CHECKSUM: 1 } : {});
  });

  it('is warn when nothing is said', () => {
    expect(judge(rows)).toEqual(judge(rows, { checksum: 'warn' }));
  });
});

it('columns may stand in any order', () => {
  const header = SOURCE_COLUMNS.toReversed().join(',');
  const row = 'a,10000009,,n,5,1090105,獨資,Y,1,x,,,3,y,,'.split(',');
  const reversed = judgeWhole(dataset, Buffer.from(`${header}\n${row.toReversed().join(',')}\n`));
  expect(reversed.tables).toEqual(judge([row.join(',')]).tables);
});

// The message limit is 8 MiB, the largest raw batch 768 KiB: 10.6.
it('the densest records, all industries and nothing else, grow less than a message allows', () => {
  const records = Array.from({ length: 5000 }, (_, i) => `,${String(i).padStart(8, '0')},,,,,,,1,,2,,3,,4,`);
  const { counts, expansion } = judge(records, { checksum: 'off' });
  expect(counts.accepted).toBe(records.length);
  expect(expansion).toBeLessThan(6);
});
