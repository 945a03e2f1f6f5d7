import { expect } from '@jest/globals';
import { type CompiledContract, compileContract } from '../../../libs/core/src/record/compile-contract.js';
import type { RawBatch } from '../../../libs/core/src/record/raw-batch.js';
import type { PlainVerdict } from './plain-judge.js';
import { readCopyText } from './read-copy-text.js';

/** What the batches' verdicts say of each record, in the plain judge's shape. */
export function judgeAll(contract: CompiledContract, batches: readonly RawBatch[]): PlainVerdict[] {
  const all: PlainVerdict[] = [];
  for (const batch of batches) {
    const { sections, refused, counts, findings } = contract.judge(batch);
    const rows = new Map<number, Record<string, (string | null)[][]>>();
    for (const { table, text, rows: count } of sections) {
      const written = readCopyText(text);
      expect(written).toHaveLength(count);
      for (const [record, ...values] of written) {
        const own =
          rows.get(Number(record)) ?? Object.fromEntries(sections.map((section) => [section.table, []]));
        rows.set(Number(record), own);
        own[table]!.push(values);
      }
    }
    const letters = new Map([...refused].map((letter) => [letter.record, letter]));
    for (let record = batch.firstRecord; record < batch.firstRecord + batch.records; record += 1) {
      const letter = letters.get(record);
      const own = rows.get(record);
      expect(letter !== undefined && own !== undefined).toBe(false); // CC2
      all.push({
        verdict: letter ? 'refused' : own ? 'accepted' : 'skipped',
        findings:
          letter?.findings.map(({ code, field, severity }) => ({ code, field: field ?? '', severity })) ?? [],
        rows: own ?? {},
      });
    }
    expect(counts.accepted + counts.refused + counts.skipped).toBe(batch.records); // CC1
    expect(counts).toMatchObject({ records: batch.records, refused: letters.size });
    expect(rows.size).toBe(counts.accepted);
    expect(counts.warnings).toBeLessThanOrEqual(
      Object.values(findings).reduce((sum, count) => sum + count, 0),
    );
  }
  return all;
}

/** Warnings of accepted records come by `onFindings` only. */
function withHeard(
  verdicts: PlainVerdict[],
  heard: ReadonlyMap<number, PlainVerdict['findings']>,
): PlainVerdict[] {
  return verdicts.map((verdict, record) => ({ ...verdict, findings: heard.get(record) ?? verdict.findings }));
}

export function judgeAndListen(
  dataset: Parameters<typeof compileContract>[0],
  columns: readonly string[],
  inputs: { context: Record<string, string>; options: Record<string, string> },
  batches: readonly RawBatch[],
): PlainVerdict[] {
  const heard = new Map<number, PlainVerdict['findings']>();
  const contract = compileContract(dataset, {
    ...inputs,
    columns,
    onFindings: ({ record }, findings) => {
      heard.set(
        record,
        findings.map(({ code, field, severity }) => ({ code, field: field ?? '', severity })),
      );
    },
  });
  return withHeard(judgeAll(contract, batches), heard);
}
