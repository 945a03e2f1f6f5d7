/**
 * Services are exchanged one after the other for ones of another contract version, while a job is under way: it is
 * paused, holds up no other job, and is validated again from its first record when it is continued.
 */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generate as generateOrders } from '../fixtures/datasets/webshop-orders/generator.js';
import { eventually } from '../support/eventually.js';
import { query } from '../support/expect-tables.js';
import { generatedFile } from '../support/generated-file.js';
import { type HaltingSource, startHaltingSource } from '../support/halting-source.js';
import { clientOf, jobEnd, runJob } from '../support/run-job.js';
import { type System, startSystem } from '../support/system.js';
import { type VersionedDataset, versionedDataset } from '../support/versioned-dataset.js';

const DATASET = 'webshop-orders';
/** Half of them are more than what is read first, before the job runs. */
const ROWS = 1_500;

describe('a rolling upgrade with a job under way', () => {
  let system: System;
  let dataset: VersionedDataset;
  let source: HaltingSource;

  beforeAll(async () => {
    dataset = versionedDataset(DATASET, 1);
    system = await startSystem({
      partitions: 2,
      env: {
        SLUICE_DATASET_PATHS: dataset.folder,
        SLUICE_BATCH_BYTES: String(32 * 1024),
        SLUICE_MESSAGE_KEY: 'a secret of this deployment',
      },
    });
    const chunks = [...generateOrders({ rows: ROWS, seed: 5, defectShare: 0.05, repeatShare: 0 })];
    source = await startHaltingSource(Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))), null);
  });

  afterAll(async () => {
    await source.close();
    await system.stop();
    rmSync(dataset.folder, { recursive: true });
  });

  const exchange = async (service: string): Promise<void> => {
    await system.kill(service, 'SIGTERM');
    await system.restart(service);
  };
  const orders = async (): Promise<number> =>
    (await query<{ n: number }>(system, 'SELECT count(*)::integer AS n FROM webshop_order'))[0]?.n ?? 0;

  it('pauses the job, lets others pass, and validates it again from its first record', async () => {
    const request = { dataset: DATASET, mode: 'replace', source: source.url, maxRefusedShare: 1 } as const;
    const { id } = await clientOf(system).startJob(request);
    await eventually(async () => {
      const loaded = await query(system, 'SELECT FROM sluice.ledger WHERE job = $1', [id]);
      return loaded.length > 1;
    }, 'half of the job to be loaded');

    dataset.install(2);
    await exchange('validator');
    source.goOn();
    await eventually(async () => (await clientOf(system).job(id)).state === 'paused', 'the job to be paused');
    const paused = await clientOf(system).job(id);
    expect(paused).toMatchObject({ pauseReason: 'contract', pauseDetail: { code: 'CONTRACT_MISMATCH' } });
    await exchange('loader');
    await exchange('ingestor');
    const other = generatedFile(system, { rows: 200, seed: 3, defectShare: 0, repeatShare: 0 });
    expect(await runJob(system, { dataset: 'tax-registration', source: other.path })).toMatchObject({
      state: 'succeeded',
    });
    expect(await orders()).toBe(0);

    expect(await clientOf(system).continueJob(id)).toMatchObject({ state: 'queued' });
    const end = await jobEnd(system, id);
    expect(end).toMatchObject({
      state: 'succeeded',
      counts: { read: ROWS },
      deadLetters: { complete: true },
    });
    expect(await orders()).toBe(end.counts?.loaded);
    expect(end.deadLetters.known).toBe(end.counts?.refused);
    // Nothing of the first attempt stands in the partitions: the next job of the dataset passes as well.
    expect(await runJob(system, { ...request, source: source.url })).toMatchObject({
      state: 'succeeded',
      counts: { read: ROWS },
    });
  });
});
