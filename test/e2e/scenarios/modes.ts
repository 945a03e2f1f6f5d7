/**
 * How a job becomes visible: a dry run changes nothing, a limit is exact, a snapshot that shrinks too much is not
 * swapped in, a replacement runs alone, and a second dataset of another shape goes the same way.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { clientOf, jobEnd, lettersOf, runJob } from '../../support/run-job.js';
import { fileOf, row, rows, validBan } from '../../support/small-file.js';
import type { System } from '../../support/system.js';
import { FIXTURE_DATASETS, scenario } from './scenario.js';

export const modes = scenario('modes of a job', {}, (running) => {
  let system: System;

  beforeAll(async () => {
    system = running();
    await query(system, 'TRUNCATE tax_registration, webshop_order CASCADE');
  });

  function file(name: string, content: string | Buffer): string {
    const path = join(system.folder, name);
    writeFileSync(path, content);
    return path;
  }

  const bans = async (): Promise<string[]> =>
    (await query<{ ban: string }>(system, 'SELECT ban FROM tax_registration ORDER BY ban')).map(
      ({ ban }) => ban,
    );

  /** Tables and indexes in staging that are not among `known`. */
  async function staging(known: readonly string[] = []): Promise<string[]> {
    const found = await query<{ relname: string }>(
      system,
      `SELECT relname FROM pg_class
       WHERE relnamespace = 'sluice_staging'::regnamespace AND relname <> ALL ($1::text[])`,
      [known],
    );
    return found.map(({ relname }) => relname);
  }

  it('replace: the file is the table, and its names and keys are as before', async () => {
    const shape = `
      SELECT conname AS name FROM pg_constraint WHERE conrelid IN ('tax_registration'::regclass, 'business_industry'::regclass)
      UNION ALL SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY name`;
    const before = await query(system, shape);
    const stagingBefore = await staging();
    const first = await runJob(system, {
      dataset: 'tax-registration',
      source: file('a.csv', fileOf(...rows(30))),
    });
    expect(first).toMatchObject({ state: 'succeeded', counts: { loaded: 30, inserted: 30 } });
    const second = file('b.csv', fileOf(...rows(29), row(99)));
    await runJob(system, { dataset: 'tax-registration', source: second });
    expect(await bans()).toEqual([...Array.from({ length: 29 }, (_, i) => i), 99].map(validBan).sort());
    expect(await query(system, shape)).toEqual(before);
    expect(await staging(stagingBefore)).toEqual([]);
  });

  it('dry run: measured and settled to the end, and nothing is changed', async () => {
    const before = await bans();
    const source = file('dry.csv', fileOf(...rows(40), row(1), row(2, { ban: 'x' })));
    const job = await runJob(system, { dataset: 'tax-registration', source, dryRun: true });
    expect(job).toMatchObject({
      state: 'succeeded',
      dryRun: true,
      counts: { read: 42, accepted: 41, refused: 2, refusedAtLoad: 1 },
      findings: { DUPLICATE: 1, INVALID_BAN: 1 },
    });
    expect(await bans()).toEqual(before);
    expect((await lettersOf(system, job.id)).map(({ codes }) => codes)).toEqual([
      ['DUPLICATE'],
      ['INVALID_BAN'],
    ]);
  });

  it.each([1, 7, 50])('limit: exactly the first %i records', async (limit) => {
    const source = file('limit.csv', fileOf(...rows(50)));
    const job = await runJob(system, { dataset: 'tax-registration', source, limit, allowShrink: true });
    expect(job).toMatchObject({ state: 'succeeded', counts: { read: limit, loaded: limit } });
    expect(await bans()).toEqual(Array.from({ length: limit }, (_, i) => validBan(i)).sort());
  });

  it('shrink limit: a snapshot that is too small is not swapped in, unless the request allows it', async () => {
    await runJob(system, { dataset: 'tax-registration', source: file('full.csv', fileOf(...rows(100))) });
    const small = file('small.csv', fileOf(...rows(79)));
    const refused = await runJob(system, { dataset: 'tax-registration', source: small });
    expect(refused).toMatchObject({ state: 'failed', error: { code: 'JOB_SHRINKS' } });
    expect(await bans()).toHaveLength(100);
    const trial = await runJob(system, {
      dataset: 'tax-registration',
      source: small,
      dryRun: true,
      limit: 5,
    });
    expect(trial).toMatchObject({ state: 'succeeded', counts: { read: 5 } });
    await runJob(system, { dataset: 'tax-registration', source: small, allowShrink: true });
    expect(await bans()).toHaveLength(79);
  });

  it('options: the checksum may refuse, warn or be left out', async () => {
    const wrong = row(5, { ban: '12345678' });
    const source = file('checksum.csv', fileOf(row(1), wrong));
    const run = (checksum: string): Promise<unknown> =>
      runJob(system, { dataset: 'tax-registration', source, allowShrink: true, options: { checksum } });
    expect(await run('warn')).toMatchObject({
      counts: { loaded: 2, warnings: 1 },
      findings: { INVALID_BAN_CHECKSUM: 1 },
    });
    expect(await run('reject')).toMatchObject({ counts: { loaded: 1, refused: 1 } });
    expect(await run('off')).toMatchObject({ counts: { loaded: 2, warnings: 0 }, findings: {} });
    await expect(run('sometimes')).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('compressed sources are recognised by their content', async () => {
    const source = file('compressed.csv', gzipSync(fileOf(...rows(10))));
    const job = await runJob(system, { dataset: 'tax-registration', source, allowShrink: true });
    expect(job).toMatchObject({ state: 'succeeded', counts: { loaded: 10 } });
  });

  it('a replacement runs alone: a second job is refused, names it, and cancelling leaves the tables as they were', async () => {
    const before = await bans();
    const stagingBefore = await staging();
    // More than what is read of a source before a job runs.
    const slow = createServer((_, response) => {
      response.writeHead(200);
      response.write(fileOf(...rows(1_500)));
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    const source = `http://127.0.0.1:${(slow.address() as AddressInfo).port}/slow.csv`;
    const { id } = await clientOf(system).startJob({ dataset: 'tax-registration', source });
    for (const request of [
      { source },
      { source: file('other.csv', fileOf(row(1))), mode: 'upsert' as const },
    ])
      await expect(
        clientOf(system).startJob({ dataset: 'tax-registration', ...request }),
      ).rejects.toMatchObject({
        code: 'JOB_ACTIVE',
        place: { job: id },
      });
    await eventually(async () => (await clientOf(system).job(id)).state === 'running', 'the job to run');
    await clientOf(system).cancelJob(id);
    expect(await jobEnd(system, id)).toMatchObject({ state: 'cancelled' });
    await eventually(
      async () => (await staging(stagingBefore)).length === 0,
      'its staging tables to be gone',
    );
    expect(await bans()).toEqual(before);
    slow.closeAllConnections();
    await new Promise((resolve) => slow.close(resolve));
  });

  it('a dataset from elsewhere, NDJSON with children, gets from file to tables', async () => {
    const folder = join(FIXTURE_DATASETS, 'webshop-orders', 'fixtures');
    const bytes = readFileSync(join(folder, 'input.ndjson'));
    const letters = JSON.parse(readFileSync(join(folder, 'expected-dead-letters.json'), 'utf8')) as unknown[];
    const job = await runJob(system, {
      dataset: 'webshop-orders',
      source: file('orders.ndjson', bytes),
      maxRefusedShare: 1,
    });
    expect(job).toMatchObject({ state: 'succeeded', mode: 'append' });
    expect(job.counts?.refusedAtValidate).toBe(letters.length);
    const [orders] = await query<{ n: number }>(system, 'SELECT count(*)::int AS n FROM webshop_order');
    expect(orders?.n).toBe(job.counts?.inserted);
    expect(orders?.n).toBeGreaterThan(0);
    const [items] = await query<{ n: number }>(system, 'SELECT count(*)::int AS n FROM webshop_order_item');
    expect(items?.n).toBeGreaterThan(0);
    const again = await runJob(system, {
      dataset: 'webshop-orders',
      source: file('orders.ndjson', bytes),
      maxRefusedShare: 1,
    });
    expect(again.counts).toMatchObject({ inserted: 0, superseded: orders?.n });
  });
});
