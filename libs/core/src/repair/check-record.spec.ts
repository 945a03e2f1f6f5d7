import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SHOP_COLUMNS, Shop } from '#test/support/record/sample-contracts.js';
import { defineDataset } from '../dataset/define-dataset.js';
import { compileContract } from '../record/compile-contract.js';
import { createCutter } from '../record/cutter.js';
import { DEFAULT_CUTTING } from '../record/raw-batch.js';
import { RecordChecker } from './check-record.js';
import type { RecordToSend } from './record-to-send.js';

const SHOPS = {
  ...defineDataset({ title: 'Shops', contractVersion: 1, contract: Shop, format: 'csv' }),
  name: 'shops',
};
const CONTEXT = { date: '2026-01-01' };
const recordOf = (no: string, facts: Partial<RecordToSend> = {}): RecordToSend => ({
  value: Buffer.from(`x,${no},,,,,,,,,,,,`),
  columns: SHOP_COLUMNS,
  context: CONTEXT,
  ...facts,
});
const outcomes = (records: readonly RecordToSend[]): string[] =>
  new RecordChecker(SHOPS).check(records).map((checked) =>
    checked.outcome === 'refused'
      ? checked.findings
          .filter(({ severity }) => severity === 'error')
          .map(({ code }) => code)
          .join(' ')
      : checked.outcome,
  );

describe('the check of records that would be sent again', () => {
  it('says of each, in order, what the contract says of it (CK1)', () => {
    expect(
      outcomes([
        recordOf('1234'),
        recordOf('12'),
        recordOf('', { value: Buffer.from(',,,,,,,,,,,,,') }),
        recordOf('2345'),
        recordOf('1', { value: Buffer.from('1,2') }),
      ]),
    ).toEqual(['passes', 'BAD_NUMBER', 'skipped', 'passes', 'MALFORMED_ROW']);
    expect(outcomes([])).toEqual([]);
  });

  it('knows the columns and the context of each (CK1, CK3)', () => {
    const columns = [...SHOP_COLUMNS].reverse();
    const reversed = recordOf('', { value: Buffer.from(',,,,,,,,,,,,1234,x'), columns });
    const many = Array.from({ length: 20 }, (_, day) =>
      recordOf('1234', { context: { date: `2026-01-${String(day + 1).padStart(2, '0')}` } }),
    );
    expect(outcomes([recordOf('1234'), reversed, recordOf('12'), ...many])).toEqual([
      'passes',
      'passes',
      'BAD_NUMBER',
      ...many.map(() => 'passes'),
    ]);
    const short = recordOf('1234', { columns: ['no'], value: Buffer.from('1234') });
    expect(outcomes([recordOf('1234'), short, recordOf('1234')])).toEqual([
      'passes',
      'BAD_MESSAGE_HEADER',
      'passes',
    ]);
    expect(outcomes([short, short])).toEqual(['BAD_MESSAGE_HEADER', 'BAD_MESSAGE_HEADER']);
  });

  it('agrees with the contract on a file of the same records (CK1)', () => {
    const field = fc.constantFrom('', '1', '1234', '2222', 'x', 'long text', '2026-01-01', ' ', 'NULL', '0');
    const contract = compileContract(SHOPS, { columns: SHOP_COLUMNS, context: CONTEXT, options: {} });
    fc.assert(
      fc.property(fc.array(fc.array(field, { minLength: 14, maxLength: 14 }), { maxLength: 12 }), (rows) => {
        const lines = rows.map((row) => row.join(','));
        const cutter = createCutter(
          { ...DEFAULT_CUTTING, format: 'csv', limitRecords: null },
          { batch: 0, record: 0, line: 1, byte: 0 },
        );
        const file = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const refused = new Map<number, readonly string[]>();
        for (const batch of [...cutter.push(file), ...cutter.end()])
          for (const { record, findings } of contract.judge(batch).refused)
            refused.set(
              record,
              findings.map(({ code, field: name }) => `${code} ${name ?? ''}`),
            );
        const checked = new RecordChecker(SHOPS).check(
          lines.map((line) => recordOf('', { value: Buffer.from(line) })),
        );
        expect(
          checked.map((each) =>
            each.outcome === 'refused'
              ? each.findings.map(({ code, field: name }) => `${code} ${name ?? ''}`)
              : null,
          ),
        ).toEqual(lines.map((_, index) => refused.get(index) ?? null));
      }),
      { numRuns: 200 },
    );
  });
});
