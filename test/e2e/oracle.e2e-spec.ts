/**
 * The main proof (G1 to G3): whatever stands in a file, both tables, every count and every dead letter are what an
 * oracle computes that shares no code with the product. In small batches, over three partitions, two validators and
 * two loaders, each of which must have done a part.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { expectReport, expectTables } from '../support/expect-tables.js';
import { generatedFile } from '../support/generated-file.js';
import { expectFile } from '../support/oracle.js';
import { counter, runJob } from '../support/run-job.js';
import { type System, startSystem } from '../support/system.js';

describe('the whole way, against the oracle', () => {
  let system: System;

  beforeAll(async () => {
    system = await startSystem({
      partitions: 3,
      validators: 2,
      loaders: 2,
      env: { SLUICE_BATCH_BYTES: String(64 * 1024) },
    });
  });

  afterAll(() => system.stop());

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
    for (const validator of ['validator', 'validator-2']) {
      expect(await counter(system, validator, 'sluice_validated_records_total')).toBeGreaterThan(0);
    }
    for (const loader of ['loader', 'loader-2']) {
      expect(await counter(system, loader, 'sluice_clean_batches_total', 'outcome="loaded"')).toBeGreaterThan(
        0,
      );
    }
  });
});
