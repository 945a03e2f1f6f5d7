/**
 * The three write modes from the file to the tables, against oracles that share no code with the product: several
 * records of one key across batches that arrive in any order, stale versions, children that come and go, the
 * same file twice, and two files at once.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { JobCounts } from '#api/job-facts.js';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import { SeededRandom } from '#core/dataset/generate.js';
import webshopOrders from '../../fixtures/datasets/webshop-orders/dataset.js';
import { generate as generateOrders } from '../../fixtures/datasets/webshop-orders/generator.js';
import { expectTables, query } from '../../support/expect-tables.js';
import { type CopiedRow, judgeWhole } from '#core/conformance/judge-file.js';
import { type MergeCounts, MergeOracle, type MergeRecord } from '../../support/merge-oracle.js';
import { type Expectation, type OracleOptions, expectFile, judgeFile } from '../../support/oracle.js';
import { eventually } from '../../support/eventually.js';
import { type HeldSource, startHeldSource } from '../../support/held-source.js';
import { clientOf, jobEnd, runJob } from '../../support/run-job.js';
import { HEADER, row, validBan } from '../../support/small-file.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

export const writeModes = scenario('write modes', {}, (running) => {
  let system: System;

  beforeAll(() => {
    system = running();
  });

  async function load(bytes: Buffer, request: JobRequest): Promise<JobDetail> {
    const source = join(system.folder, 'source');
    writeFileSync(source, bytes);
    const job = await runJob(system, { maxRefusedShare: 1, ...request, source });
    expect(job).toMatchObject({ state: 'succeeded', error: null });
    return job;
  }

  const fates = ({
    inserted,
    updated,
    unchanged,
    deleted,
    superseded,
  }: JobCounts | MergeCounts): MergeCounts => ({
    inserted,
    updated,
    unchanged,
    deleted,
    superseded,
  });

  /** Where each row stands and who wrote it last. */
  async function versions(tables: readonly string[]): Promise<unknown[]> {
    const parts = tables.map(
      (table) => `SELECT '${table}' AS table, ctid::text, xmin::text, xmax::text FROM ${table}`,
    );
    return query(system, `${parts.join(' UNION ALL ')} ORDER BY 1, 2`);
  }

  describe('of tax-registration', () => {
    const TABLES = ['tax_registration', 'business_industry'];
    const BANS = 1_500;
    /** Many numbers come more than once, in batches far from each other. */
    const RECORDS = 2_000;

    /** Registrations of random numbers with random names and up to four industries; every 40th record is refused. */
    function extract(seed: number, date: string, firstBan = 0): Buffer {
      const random = new SeededRandom(seed);
      const lines = Array.from({ length: RECORDS }, (_, index) => {
        if (index % 40 === 0) return row(index, { ban: 'wrong' });
        const ban = validBan(firstBan + random.below(BANS));
        const industries = Array.from({ length: 4 }, (_, slot) =>
          random.chance(0.5) ? `47291${slot},零售${random.below(2)}` : ',',
        );
        return `臺中市樂業路${ban}號,${ban},,商行${random.below(3)},200000,1090105,獨資,N,${industries.join(',')}`;
      });
      return Buffer.from([HEADER, `${date}${','.repeat(15)}`, ...lines, ''].join('\n'));
    }

    function recordsOf(file: Buffer, options: OracleOptions): MergeRecord[] {
      return [...judgeFile(file, options)].flatMap((outcome) =>
        outcome.is !== 'loaded'
          ? []
          : {
              key: outcome.business.ban,
              version: Date.parse(outcome.business.data_source_date ?? ''),
              row: outcome.business,
              children: outcome.industries,
            },
      );
    }

    async function expectMerged(oracle: MergeOracle): Promise<void> {
      const records = oracle.records();
      await expectTables(system, {
        businesses: new Map(records.map(({ key, row: business }) => [key, business])),
        industries: new Map(records.map(({ key, children }) => [key, children])),
      } as Pick<Expectation, 'businesses' | 'industries'>);
    }

    const newest = extract(3, '03-SEP-26', 400);
    const middle = extract(2, '02-SEP-26', 200);
    const oldest = extract(1, '01-SEP-26');

    async function runs(mode: 'append' | 'upsert', file: Buffer, oracle: MergeOracle): Promise<MergeCounts> {
      const job = await load(file, { dataset: 'tax-registration', mode });
      const options: OracleOptions = { repeats: mode === 'upsert' ? 'accepted' : 'refused' };
      const expected = oracle[mode](recordsOf(file, options));
      const { counts } = expectFile(file, options);
      expect(job.counts).toMatchObject({ ...expected, read: counts.read, refused: counts.refused });
      await expectMerged(oracle);
      return expected;
    }

    it('append adds new numbers with their industries; what is there stays; twice the same file adds nothing', async () => {
      await query(system, 'TRUNCATE tax_registration CASCADE');
      const oracle = new MergeOracle();
      await runs('append', middle, oracle);
      expect((await runs('append', newest, oracle)).superseded).toBeGreaterThan(300);
      const before = await versions(TABLES);
      expect(await runs('append', newest, oracle)).toMatchObject({ inserted: 0 });
      expect(await versions(TABLES)).toEqual(before);
    });

    it('append fails for numbers that are there, when the request says so', async () => {
      await query(system, 'TRUNCATE tax_registration CASCADE');
      const first = await load(middle, { dataset: 'tax-registration', mode: 'append', existingKeys: 'fail' });
      expect(first.counts).toMatchObject({ superseded: 0 });
      const before = await versions(TABLES);
      const source = join(system.folder, 'newest');
      writeFileSync(source, newest);
      const failed = await runJob(system, {
        dataset: 'tax-registration',
        mode: 'append',
        existingKeys: 'fail',
        maxRefusedShare: 1,
        source,
      });
      expect(failed).toMatchObject({ state: 'failed', resumable: true, error: { code: 'EXISTING_KEYS' } });
      expect(failed.error?.message).toContain('(統一編號) that is in tax_registration already');
      expect(await versions(TABLES)).toEqual(before);
    });

    it('upsert writes what is new or differs, industries too; an older extract overwrites nothing', async () => {
      await query(system, 'TRUNCATE tax_registration CASCADE');
      const oracle = new MergeOracle();
      await runs('upsert', middle, oracle);
      const later = await runs('upsert', newest, oracle);
      expect(Math.min(later.inserted, later.updated, later.superseded)).toBeGreaterThan(100);
      const stale = await runs('upsert', oldest, oracle);
      expect(stale).toMatchObject({ updated: 0, unchanged: 0 });
      expect(Math.min(stale.inserted, stale.superseded)).toBeGreaterThan(100);
      const before = await versions(TABLES);
      expect(await runs('upsert', newest, oracle)).toMatchObject({ inserted: 0, updated: 0 });
      expect(await versions(TABLES)).toEqual(before);
    });

    it('upsert takes a second extract of the same day, and its rows without industries', async () => {
      await query(system, 'TRUNCATE tax_registration CASCADE');
      const oracle = new MergeOracle();
      await runs('upsert', middle, oracle);
      const corrected = Buffer.from(middle.toString().replace(/47291\d,零售\d/g, ','));
      const { updated, unchanged } = await runs('upsert', corrected, oracle);
      expect(Math.min(updated, unchanged)).toBeGreaterThan(0);
      expect(await query(system, 'SELECT FROM business_industry')).toEqual([]);
    });

    describe('two files side by side make the table that they make one after the other', () => {
      const corrected = Buffer.from(middle.toString().replace(/47291\d,零售\d/g, ','));
      let sources: HeldSource[];
      let ids: string[];

      /** Both are read to their half: neither was refused because of the other. */
      async function start(mode: 'append' | 'upsert'): Promise<void> {
        await query(system, 'TRUNCATE tax_registration CASCADE');
        sources = await Promise.all([corrected, middle].map((file) => startHeldSource(file)));
        const requests = sources.map(({ url }) =>
          clientOf(system).startJob({ dataset: 'tax-registration', mode, source: url, maxRefusedShare: 1 }),
        );
        ids = (await Promise.all(requests)).map(({ id }) => id);
        for (const id of ids)
          await eventually(async () => (await clientOf(system).job(id)).state === 'running', 'both to run');
      }
      afterEach(() => Promise.all(sources.map((source) => source.close())));

      async function expectMergedAs(mode: 'append' | 'upsert', order: readonly JobDetail[]): Promise<void> {
        const oracle = new MergeOracle();
        const options: OracleOptions = { repeats: mode === 'upsert' ? 'accepted' : 'refused' };
        for (const job of order) {
          expect(job).toMatchObject({ state: 'succeeded', error: null });
          const file = job.id === ids[0] ? corrected : middle;
          expect(job.counts).toMatchObject(oracle[mode](recordsOf(file, options)));
        }
        await expectMerged(oracle);
      }

      it.each(['append', 'upsert'] as const)(
        '%s, in the order in which they became visible',
        async (mode) => {
          await start(mode);
          for (const source of sources) source.goOn();
          const ends = await Promise.all(ids.map((id) => jobEnd(system, id)));
          await expectMergedAs(
            mode,
            ends.sort((a, b) => Date.parse(a.finishedAt ?? '') - Date.parse(b.finishedAt ?? '')),
          );
        },
      );

      it('upsert, also when one of them is paused: it holds up nothing, and is the last', async () => {
        await start('upsert');
        const [slow = '', quick = ''] = ids;
        await clientOf(system).pauseJob(slow);
        sources[1]?.goOn();
        const second = await jobEnd(system, quick);
        sources[0]?.goOn();
        await clientOf(system).continueJob(slow);
        await expectMergedAs('upsert', [second, await jobEnd(system, slow)]);
      });
    });

    it('replace with the same file gives the same rows', async () => {
      const rows = (): Promise<unknown[]> =>
        query(
          system,
          `SELECT tax_registration.*, industry_code, industry_name, "order", NULL AS created_at, NULL AS updated_at
           FROM tax_registration LEFT JOIN business_industry ON business_id = ban ORDER BY ban, "order"`,
        );
      const first = await load(newest, { dataset: 'tax-registration', mode: 'replace', allowShrink: true });
      const before = await rows();
      const second = await load(newest, { dataset: 'tax-registration', mode: 'replace' });
      expect(second.counts).toEqual(first.counts);
      expect(await rows()).toEqual(before);
      await expectTables(system, expectFile(newest));
    });
  });

  describe('of webshop-orders', () => {
    const TABLES = ['webshop_order', 'webshop_order_item'];

    /** As README section 5 has it: quantities that only the table refuses. */
    const isStorable = (item: CopiedRow): boolean =>
      Number(item.quantity) >= 1 && Number(item.quantity) <= 2_147_483_647;

    /** Accepted orders of the file in its order; `append` keeps the last of a number. */
    function recordsOf(file: Buffer, mode: 'append' | 'upsert'): MergeRecord[] {
      const { tables } = judgeWhole(webshopOrders, file);
      const items = new Map<string | null, CopiedRow[]>();
      for (const { _sluice_record: record = null, ...item } of tables.webshop_order_item ?? []) {
        items.set(record, [...(items.get(record) ?? []), item]);
      }
      const records = (tables.webshop_order ?? [])
        .map(({ _sluice_record: record = null, ...order }) => ({
          key: order.order_no ?? '',
          version: order.updated_at ? Date.parse(order.updated_at) : null,
          row: order,
          children: items.get(record) ?? [],
        }))
        .filter(({ children }) => children.every(isStorable));
      return mode === 'upsert'
        ? records
        : [...new Map(records.map((record) => [record.key, record])).values()];
    }

    /** PostgreSQL compares: it knows when two numbers or two moments are equal. */
    async function expectMerged(oracle: MergeOracle): Promise<void> {
      const client = new pg.Client({ connectionString: system.databaseUrl });
      await client.connect();
      try {
        const expected = [
          oracle.records().map(({ row: order }) => order),
          oracle.records().flatMap(({ children }) => children),
        ];
        for (const [at, table] of TABLES.entries()) {
          const rows = expected[at] ?? [];
          const columns = Object.keys(rows[0] ?? {}).join(', ');
          const { rows: differences } = await client.query(
            `WITH expected AS (SELECT ${columns} FROM json_populate_recordset(NULL::${table}, $1))
             (SELECT ${columns} FROM ${table} EXCEPT ALL SELECT * FROM expected)
             UNION ALL (SELECT * FROM expected EXCEPT ALL SELECT ${columns} FROM ${table})`,
            [JSON.stringify(rows.map(withJson))],
          );
          expect(differences).toEqual([]);
        }
      } finally {
        await client.end();
      }
    }

    /** COPY text of a jsonb column is JSON in a text; here it has to be JSON. */
    const withJson = (record: object): object =>
      'attributes' in record && typeof record.attributes === 'string'
        ? { ...record, attributes: JSON.parse(record.attributes) as unknown }
        : record;

    const file = (seed: number, rows: number): Buffer =>
      Buffer.concat([...generateOrders({ seed, rows, defectShare: 0.1, repeatShare: 0.2 })]);

    it.each([
      ['append', { inserted: 100, superseded: 100 }],
      ['upsert', { inserted: 100, updated: 100, superseded: 100 }],
    ] as const)('%s: every fate of an order, and of its items', async (mode, atLeast) => {
      await query(system, 'TRUNCATE webshop_order CASCADE');
      const oracle = new MergeOracle();
      const files = [file(1, 1_000), file(2, 1_500), file(3, 2_000), file(2, 1_500)];
      const sums: Record<string, number> = {};
      for (const bytes of files) {
        const job = await load(bytes, { dataset: 'webshop-orders', mode });
        const expected = oracle[mode](recordsOf(bytes, mode));
        expect(fates(job.counts!)).toEqual(expected);
        for (const [fate, count] of Object.entries(expected)) sums[fate] = (sums[fate] ?? 0) + Number(count);
        await expectMerged(oracle);
      }
      for (const [fate, count] of Object.entries(atLeast)) expect(sums[fate]).toBeGreaterThan(count);
      const before = await versions(TABLES);
      const again = await load(files[3]!, { dataset: 'webshop-orders', mode });
      expect(again.counts).toMatchObject({ inserted: 0, updated: 0 });
      expect(await versions(TABLES)).toEqual(before);
    });
  });
});
