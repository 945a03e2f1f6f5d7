/**
 * The main proof (G1 to G3): whatever stands in a file, both tables, every count and every dead letter are what an
 * oracle computes that shares no code with the product. In small batches, over three partitions, two validators and
 * two loaders, each of which must have done a part.
 */
import { beforeAll, expect, it } from '@jest/globals';
import { expectReport, expectTables, query } from '../../support/expect-tables.js';
import { generatedFile } from '../../support/generated-file.js';
import { expectFile } from '../../support/oracle.js';
import { counter, runJob } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

export const oracle = scenario('the whole way, against the oracle', {}, (running) => {
  let system: System;
  /** What each of them had done before. */
  let before: readonly number[];

  beforeAll(async () => {
    system = running();
    await query(system, 'TRUNCATE tax_registration CASCADE');
    before = await done();
  });

  it.each([1, 20_260_101])(
    'loads 50,000 rows with 2 %% defects and 0.5 %% repeats, seed %i',
    async (seed) => {
      const { path, bytes } = generatedFile(system, {
        rows: 50_000,
        seed,
        defectShare: 0.02,
        repeatShare: 0.005,
      });
      const expected = expectFile(bytes);
      expect(expected.counts.refused).toBeGreaterThan(500);
      const job = await runJob(system, { dataset: 'tax-registration', source: path, maxRefusedShare: 0.05 });
      await expectReport(system, job, expected);
      await expectTables(system, expected);
    },
  );

  it('has every validator and every loader do a part of it', async () => {
    const now = await done();
    expect(now.map((count, at) => count > (before[at] ?? NaN))).toEqual([true, true, true, true]);
  });

  /** Records of both validators, batches of both loaders. */
  const done = (): Promise<number[]> =>
    Promise.all([
      ...['validator', 'validator-2'].map((name) => counter(system, name, 'sluice_validated_records_total')),
      ...['loader', 'loader-2'].map((name) =>
        counter(system, name, 'sluice_clean_batches_total', 'outcome="loaded"'),
      ),
    ]);
});
