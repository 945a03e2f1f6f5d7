import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { finalizeJob } from '#test/support/finalizing.js';
import { SHOP_TABLES, StagedJobs } from '#test/support/staged-job.js';

/** What a DBA may have set for the role or the database; each alone has broken something once, or could. */
const SETTINGS = {
  DateStyle: 'German, DMY',
  IntervalStyle: 'iso_8601',
  TimeZone: 'Asia/Kathmandu',
  bytea_output: 'escape',
  extra_float_digits: '0',
  quote_all_identifiers: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  standard_conforming_strings: 'off',
  idle_in_transaction_session_timeout: '1ms',
  statement_timeout: '300ms',
  search_path: 'nowhere',
};

/** An index that takes longer to build than every limit here. */
const SLOW_INDEX = `
  CREATE FUNCTION public.slowly(t text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
  BEGIN PERFORM pg_catalog.pg_sleep(0.2); RETURN t; END $$;
  CREATE INDEX shop_slow ON public.shop (public.slowly(name));`;

describe('finalizing under settings that a DBA has made', () => {
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start(SHOP_TABLES, SETTINGS);
  });
  afterAll(() => jobs.stop());
  beforeEach(() => jobs.reset());

  it.each(['replace', 'append', 'upsert'] as const)('%s stores the same as ever', async (mode) => {
    await jobs.loaded([[{ number: '1', name: 'a', items: ['x'] }], [{ number: '2', name: 'b' }]], { mode });
    await finalizeJob(jobs);
    expect(await jobs.shops()).toEqual(['1 a x', '2 b']);
  });
});

describe('an index that takes longer than transaction_timeout', () => {
  let jobs: StagedJobs;
  let isKnown: boolean;

  beforeAll(async () => {
    jobs = await StagedJobs.start(SHOP_TABLES + SLOW_INDEX, {
      statement_timeout: '500ms',
      lock_timeout: '500ms',
    });
    // PostgreSQL 17 and newer; set for the database, as DBAs do it, and for connections that begin from here on.
    const { rows } = await jobs.pool.query<{ known: boolean }>(
      `SELECT current_setting('transaction_timeout', true) IS NOT NULL AS known`,
    );
    isKnown = rows[0]?.known === true;
    await jobs.pool.query(`
      DO $$ BEGIN
        IF current_setting('transaction_timeout', true) IS NOT NULL THEN
          EXECUTE format('ALTER DATABASE %I SET transaction_timeout = ''500ms''', current_database());
        END IF;
      END $$`);
  });
  afterAll(() => jobs.stop());

  it('is built nevertheless', async () => {
    await jobs.loaded([1, 2, 3, 4].map((n) => [{ number: String(n), name: `n${n}` }]));
    expect(await finalizeJob(jobs)).toContain('swap');
    expect(await jobs.shops()).toHaveLength(4);
    const session = await jobs.session();
    const { rows } = await session.query(`SELECT current_setting('transaction_timeout', true) AS limit`);
    expect(rows).toEqual([{ limit: isKnown ? '500ms' : null }]);
  });
});
