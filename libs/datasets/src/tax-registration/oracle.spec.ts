import { describe, expect, it } from '@jest/globals';
import { type OracleOptions, expectFile } from '#test/support/oracle.js';
import { type JudgedFile, judgeWhole } from '#core/conformance/judge-file.js';
import dataset from './dataset.js';
import { generate } from './generator.js';
import { SOURCE_COLUMNS } from './prologue.js';

/**
 * Generated files of every defect go through the compiled contract; the oracle, which shares no code with
 * it, says what must come out. Repeats are settled here as finalization does: the first accepted row wins.
 */

function answerOf(judged: JudgedFile) {
  const [businesses = [], industries = []] = Object.values(judged.tables);
  const kept = new Map<string, object>();
  const repeats = new Set<string>();
  for (const { _sluice_record: record, ...row } of businesses) {
    const ban = row.ban ?? '';
    if (kept.has(ban)) repeats.add(record ?? '');
    else kept.set(ban, row);
  }
  const children = new Map<string, object[]>([...kept.keys()].map((ban) => [ban, []]));
  for (const { _sluice_record: record, ...row } of industries) {
    if (!repeats.has(record ?? '')) children.get(row.business_id ?? '')?.push(row);
  }
  const refused = judged.refused.map(({ record, line, findings }) => [
    record,
    line,
    findings.map(({ code }) => code).sort(),
  ]);
  return { kept, children, repeats: [...repeats].map(Number).sort((a, b) => a - b), refused };
}

/** As `column::text` gives it: leading zeros of capitals do not survive in a bigint. */
function asStored(row: object & { capital_amount?: string }): object {
  return { ...row, capital_amount: String(BigInt(row.capital_amount ?? '0')) };
}

function expectAgreement(
  file: Buffer,
  checksum: NonNullable<OracleOptions['checksum']>,
  maxBatchBytes: number,
): void {
  const judged = judgeWhole(dataset, file, { options: { checksum }, maxBatchBytes });
  const expected = expectFile(file, { checksum });
  const answer = answerOf(judged);

  const refusedAt = (stage: string) =>
    [...expected.refused.values()].filter((refusal) => refusal.stage === stage);
  expect(answer.refused).toEqual(
    refusedAt('validate').map(({ record, line, codes }) => [record, line, codes]),
  );
  expect(answer.repeats).toEqual(refusedAt('load').map(({ record }) => record));
  expect(new Map([...answer.kept].map(([ban, row]) => [ban, asStored(row)]))).toEqual(expected.businesses);
  expect(answer.children).toEqual(expected.industries);

  const { read, accepted, refusedAtValidate: refused, skipped, warnings } = expected.counts;
  expect(judged.counts).toEqual({ records: read, accepted, refused, skipped, warnings });
  expect(judged.findings).toEqual(without(expected.findings, 'DUPLICATE'));
  expect(judged.batches).toBeGreaterThan(10);
}

describe('compiled contract and oracle say the same of every record', () => {
  const checksums = ['warn', 'off', 'reject'] as const;

  it.each(checksums.flatMap((checksum) => [1, 2, 3].map((seed) => ({ checksum, seed }))))(
    'of a generated file, checksum $checksum, seed $seed',
    ({ checksum, seed }) => {
      const file = Buffer.concat([...generate({ rows: 2000, seed, defectShare: 0.05, repeatShare: 0.01 })]);
      expectAgreement(file, checksum, 16 * 1024);
    },
  );

  // Well over the 256 KiB that a record may have; without quotes nothing closes what was opened.
  const good = Array.from({ length: 8000 }, (_, i) => `a,${String(i).padStart(8, '0')},,n,0,,獨資,N,,,,,,,,`);
  const row = (address: string): string => `${address},10000009,,n,0,,獨資,N,,,,,,,,`;

  it.each([
    ['a quote that is never closed', row('"open')],
    [
      'a quote that is never closed, behind a closed one with a line break',
      row('"a\nb","open').replace(',10000009', ''),
    ],
    ['a record far too large', row('x'.repeat(3_000_000))],
    ['a quoted field far too large', row(`"${'x'.repeat(3_000_000)}"`)],
    ['a quoted field too large, of many lines', row(`"${'one line of many\n'.repeat(20_000)}"`)],
    ['an open quote in a record far too large', row(`"${'x'.repeat(3_000_000)}`)],
    ['a record just not too large', row('x'.repeat(262_144 - row('').length - 1))],
    ['a record just too large', row('x'.repeat(262_144 - row('').length))],
  ])('with %s in the middle', (_, middle) => {
    const lines = [SOURCE_COLUMNS.join(','), ...good.slice(0, 4000), middle, ...good.slice(4000), ''];
    expectAgreement(Buffer.from(lines.join('\n')), 'off', 16 * 1024);
  });
});

function without(findings: Readonly<Record<string, number>>, code: string): Record<string, number> {
  return Object.fromEntries(Object.entries(findings).filter(([other]) => other !== code));
}
