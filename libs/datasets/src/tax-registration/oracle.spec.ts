import { describe, expect, it } from '@jest/globals';
import { expectFile } from '../../../../test/support/oracle.js';
import { type JudgedFile, judgeWhole } from '../../../../test/support/judge-file.js';
import dataset from './dataset.js';
import { generate } from './generator.js';

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

describe.each(['warn', 'off', 'reject'] as const)('compiled contract and oracle, checksum %s', (checksum) => {
  it.each([1, 2, 3])('say the same of every record, seed %i', (seed) => {
    const file = Buffer.concat([...generate({ rows: 3000, seed, defectShare: 0.05, repeatShare: 0.01 })]);
    const judged = judgeWhole(dataset, file, { options: { checksum }, maxBatchBytes: 16 * 1024 });
    const expected = expectFile(file, { checksum });
    const answer = answerOf(judged);

    const refusedWith = (stage: string) =>
      [...expected.refused.values()].filter((refusal) => refusal.stage === stage);
    expect(answer.refused).toEqual(
      refusedWith('validate').map(({ record, line, codes }) => [record, line, codes]),
    );
    expect(answer.repeats).toEqual(refusedWith('load').map(({ record }) => record));
    expect(new Map([...answer.kept].map(([ban, row]) => [ban, asStored(row)]))).toEqual(expected.businesses);
    expect(answer.children).toEqual(expected.industries);

    const { counts } = expected;
    const { accepted, skipped, warnings } = counts;
    expect(judged.counts).toEqual({
      records: counts.read,
      accepted,
      refused: counts.refusedAtValidate,
      skipped,
      warnings,
    });
    expect(judged.findings).toEqual(without(expected.findings, 'DUPLICATE'));
    expect(judged.batches).toBeGreaterThan(10);
  });
});

function without(findings: Readonly<Record<string, number>>, code: string): Record<string, number> {
  return Object.fromEntries(Object.entries(findings).filter(([other]) => other !== code));
}
