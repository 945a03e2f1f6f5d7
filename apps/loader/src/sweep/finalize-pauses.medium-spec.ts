import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import type { WriteMode } from '#core/dataset/dataset.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { eventually } from '#test/support/eventually.js';
import { SHOPS, SweepHarness, untilRow } from '#test/support/finalizing.js';
import { StagedJobs } from '#test/support/staged-job.js';
import type { Sweep } from './sweep.js';

/** Refuses every row that is inserted into `shop`. */
const spoiler = (code: string): string => `
  CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the moon is full' USING ERRCODE = '${code}'; END $$;
  CREATE TRIGGER spoil BEFORE INSERT ON public.shop FOR EACH ROW EXECUTE FUNCTION public.spoil()`;

const SHOP = { number: '1', name: 'a', items: ['x'] };

/** What {@link Sweep} cannot decide by itself: the job is paused until an operator continues it. */
describe('Sweep', () => {
  let jobs: StagedJobs;
  let database: DataSource;
  let harness: SweepHarness;
  let announced: readonly string[];

  beforeAll(async () => {
    jobs = await StagedJobs.start();
    database = await controlDatabase({ url: jobs.url, applicationName: 'test' }).initialize();
  });
  afterAll(async () => {
    await database.destroy();
    await jobs.stop();
  });
  beforeEach(async () => {
    await jobs.reset();
    harness = new SweepHarness(jobs);
    ({ announced } = harness);
  });
  afterEach(() => harness.stop());

  const sweep = (...parts: Parameters<SweepHarness['sweep']>): Sweep => harness.sweep(...parts);
  const until = (id: string, condition: string): Promise<void> =>
    untilRow(jobs.pool, `SELECT FROM sluice.job WHERE id = $1 AND ${condition}`, [id]);

  it('pauses a job whose batches were validated by another version of the contract than its own', async () => {
    const id = await jobs.loaded([[SHOP]]);
    await jobs.pool.query('UPDATE sluice.job SET contract_version = 7 WHERE id = $1', [id]);
    sweep();
    await until(
      id,
      `state = 'paused' AND pause_reason = 'contract' AND pause_detail->>'code' = 'CONTRACT_MISMATCH' AND owner IS NULL`,
    );
    expect(await jobs.shops()).toEqual([]);
  });

  describe('pauses a job (reason fault) for an error that is not known, and all others proceed:', () => {
    it.each<[what: string, mode: WriteMode, spoil: string, fix: string, words: string]>([
      [
        'an unknown SQLSTATE of a trigger',
        'append',
        spoiler('XX001'),
        'DROP FUNCTION public.spoil CASCADE',
        'the moon is full (SQLSTATE XX001)',
      ],
      [
        'what PostgreSQL says of a table without replica identity that is published',
        'append',
        spoiler('55000'),
        'DROP FUNCTION public.spoil CASCADE',
        'the moon is full (SQLSTATE 55000)',
      ],
      [
        'a time limit that a step meets each time',
        'replace',
        `CREATE FUNCTION public.slow(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'terminating because of a limit' USING ERRCODE = '25P04'; END $$;
         ALTER FUNCTION public.slow(text) SET search_path = '';
         CREATE INDEX spoil ON public.shop (public.slow(name))`,
        'DROP FUNCTION public.slow CASCADE',
        'terminating because of a limit (SQLSTATE 25P04)',
      ],
    ])('%s', async (_what, mode, spoil, fix, words) => {
      const faults: string[] = [];
      const id = await jobs.loaded([[SHOP]], { mode });
      await jobs.pool.query(spoil);
      const datasets = new Map(['shops', 'shops-too'].map((name) => [name, SHOPS]));
      try {
        sweep({ finalizeAtOnce: 1 }, { datasets, onFault: (dataset) => faults.push(dataset) });
        await until(id, `state = 'paused' AND pause_reason = 'fault' AND owner IS NULL AND wait IS NULL`);
        const { rows } = await jobs.pool.query(
          'SELECT pause_detail AS detail FROM sluice.job WHERE id = $1',
          [id],
        );
        expect(rows).toEqual([
          {
            detail: {
              code: 'JOB_FAULT',
              message: `Finalizing failed 5 times: ${words}.`,
              action: expect.stringContaining('sluice continue'),
            },
          },
        ]);
        expect(faults).toEqual(['shops']);
        const other = await jobs.loaded([['skipped', { number: '2', name: 'b' }]], {
          mode: 'append',
          dataset: 'shops-too',
          dryRun: true,
        });
        await until(other, `finished_at IS NOT NULL`);
      } finally {
        await jobs.pool.query(fix);
      }
      await eventually(() => announced.includes('paused'), 'an event');
      await new OperatorRepository(database).continue(id);
      await until(id, `state = 'succeeded'`);
      expect(await jobs.shops()).toContain('1 a x');
    });
  });

  describe('pauses a job (reason schema) for what an operator has to fix, and resumes when it is continued:', () => {
    it.each<[what: string, mode: WriteMode, spoil: string, fix: string, words: string]>([
      [
        'a column that is gone',
        'append',
        'ALTER TABLE public.shop RENAME city TO town',
        'ALTER TABLE public.shop RENAME town TO city',
        'column "city" of relation "shop" does not exist (SQLSTATE 42703)',
      ],
      [
        'a control table that was altered',
        'replace',
        'ALTER TABLE sluice.ledger RENAME COLUMN warnings TO hidden',
        'ALTER TABLE sluice.ledger RENAME COLUMN hidden TO warnings',
        'column "warnings" does not exist (SQLSTATE 42703)',
      ],
    ])('%s', async (_what, mode, spoil, fix, words) => {
      const id = await jobs.loaded([[SHOP]], { mode });
      await jobs.pool.query(
        `UPDATE sluice.job SET state = 'finalizing', lease_until = now() - interval '1 second' WHERE id = $1`,
        [id],
      );
      await jobs.pool.query(spoil);
      try {
        sweep();
        await until(id, `state = 'paused' AND pause_reason = 'schema'`);
        const { rows } = await jobs.pool.query(
          'SELECT pause_detail, owner, lease_until, error FROM sluice.job WHERE id = $1',
          [id],
        );
        expect(rows).toEqual([
          {
            pause_detail: {
              code: 'JOB_SCHEMA',
              message: `PostgreSQL refuses to finalize: ${words}.`,
              action: expect.stringContaining('sluice continue'),
            },
            owner: null,
            lease_until: null,
            error: null,
          },
        ]);
      } finally {
        await jobs.pool.query(fix);
      }
      await eventually(() => announced.includes('paused'), 'an event');
      await new OperatorRepository(database).continue(id);
      await until(id, `state = 'succeeded'`);
      expect(await jobs.shops()).toEqual(['1 a x']);
    });
  });
});
