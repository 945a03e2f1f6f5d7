import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { JobCounts } from '#api/job-facts.js';
import { inTransaction } from '#common/postgres/pool.js';
import { SHOPS, claimJob, finalizeJob, untilRow } from '#test/support/finalizing.js';
import { type JobOptions, type Shop, StagedJobs } from '#test/support/staged-job.js';
import { MergeAtOnce, type MergeLimits } from './merge-at-once.js';

const UPSERT: JobOptions = { mode: 'upsert' };
const one = (name: string, ...items: string[]): Shop => ({ number: '1', name, items });
const two = (name: string, ...items: string[]): Shop => ({ number: '2', name, items });

describe('MergeAtOnce on real PostgreSQL', () => {
  let jobs: StagedJobs;
  let atOnce: MergeAtOnce;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
  });

  afterAll(() => jobs.stop());

  beforeEach(async () => {
    await jobs.reset();
    atOnce = atOnceWith();
  });

  const atOnceWith = (limits?: MergeLimits, logger = pino({ level: 'silent' })): MergeAtOnce =>
    new MergeAtOnce({
      datasets: new Map([['shops', SHOPS]]),
      owner: 'here',
      leaseSeconds: 30,
      logger,
      ...(limits && { limits }),
    });

  /** In a transaction of its own, where the loader has one that has loaded the batches as well. */
  const mergedAtOnce = (id: string, batches = 1): Promise<JobCounts | null> =>
    inTransaction(jobs.pool, (client) => atOnce.tryOnce(client, id, batches));

  const stateOf = async (id: string): Promise<unknown> => {
    const { rows } = await jobs.pool.query(
      `SELECT state, epoch, owner, completed_at IS NOT NULL AS completed FROM sluice.job WHERE id = $1`,
      [id],
    );
    return rows[0];
  };
  /** As the load left it. */
  const UNTOUCHED = { state: 'running', epoch: 1, owner: null, completed: false };

  it('makes a job visible as a finalization does: same rows, same counts, no staging (AO1)', async () => {
    const batch = [one('new', 'tea'), two('other', 'ink', 'pen'), 'refused' as const, one('newest', 'rice')];
    const options = { ...UPSERT, maxRefusedShare: 1 };
    const first = await jobs.loaded([batch], options);
    await finalizeJob(jobs);
    const [wanted, shops] = [await jobs.end(first), await jobs.shops()];
    await jobs.reset();

    const id = await jobs.loaded([batch], options);
    expect(await mergedAtOnce(id)).toEqual(wanted.counts);
    expect(await jobs.end(id)).toEqual(wanted);
    expect(await jobs.shops()).toEqual(shops);
    expect(await jobs.stagingTables()).toEqual([]);
  });

  it('appends, and takes deletes where its dataset has them only with the sweep’s own rules', async () => {
    const id = await jobs.loaded([[one('here', 'tea')]], { mode: 'append' });
    expect(await mergedAtOnce(id)).toMatchObject({ inserted: 1, superseded: 0 });
    const again = await jobs.loaded([[one('later'), two('new')]], { mode: 'append' });
    expect(await mergedAtOnce(again)).toMatchObject({ inserted: 1, superseded: 1 });
    expect(await jobs.shops()).toEqual(['1 here tea', '2 new']);
  });

  it.each<[string, readonly (readonly Shop[])[], JobOptions, number]>([
    ['a job that replaces', [[one('a')]], { mode: 'replace' }, 1],
    ['a dry run', [[one('a')]], { ...UPSERT, dryRun: true }, 1],
    ['a job with another batch', [[one('a')], [two('b')]], UPSERT, 1],
    ['a job that has to be refused', [[one('a'), one('b')]], { mode: 'append', existingKeys: 'fail' }, 1],
    ['a job whose records repeat a key and are appended', [[one('a'), one('b')]], { mode: 'append' }, 1],
  ])('leaves %s as it was loaded', async (_, batches, options, merged) => {
    const id = await jobs.loaded(batches, options);
    const staged = await jobs.stagingTables();
    expect(await mergedAtOnce(id, merged)).toBeNull();
    expect(await stateOf(id)).toEqual(UNTOUCHED);
    expect(await jobs.stagingTables()).toEqual(staged);
    expect(await jobs.shops()).toEqual([]);
  });

  it('decides nothing against a job: what does not add up is the finalizer’s to say (AO1)', async () => {
    const id = await jobs.loaded([[one('a')]], UPSERT);
    await jobs.pool.query('UPDATE sluice.job SET total_records = 2 WHERE id = $1', [id]);
    expect(await mergedAtOnce(id)).toBeNull();
    expect(await stateOf(id)).toEqual(UNTOUCHED);
    expect(await jobs.shops()).toEqual([]);
    await expect(finalizeJob(jobs)).rejects.toMatchObject({ code: 'JOB_UNBALANCED' });
  });

  it('takes no job before another one of its dataset that is complete or finalized (AO2, LN4)', async () => {
    const earlier = await jobs.loaded([[one('earlier')]], UPSERT);
    const id = await jobs.loaded([[one('later')]], UPSERT);
    expect(await mergedAtOnce(id)).toBeNull();
    const claimed = await claimJob(jobs);
    expect(claimed.id).toBe(earlier);
    expect(await mergedAtOnce(id)).toBeNull();
    await finalizeJob(jobs, { job: claimed });
    expect(await mergedAtOnce(id)).toMatchObject({ updated: 1 });
    expect(await jobs.shops()).toEqual(['1 later']);
  });

  it('does not wait for a job that comes after it, nor overtakes the one before it (AO2, LN5)', async () => {
    const before = await jobs.loaded([[one('before')]], UPSERT);
    const id = await jobs.loaded([[one('this')]], UPSERT);
    const after = await jobs.loaded([[one('after')]], UPSERT);
    await jobs.pool.query('UPDATE sluice.job SET after_job = $2 WHERE id = $1', [id, before]);
    await jobs.pool.query('UPDATE sluice.job SET after_job = $2 WHERE id = $1', [after, id]);
    await jobs.pool.query('UPDATE sluice.job SET total_batches = NULL WHERE id = $1', [before]);
    expect(await mergedAtOnce(id)).toBeNull();
    await jobs.pool.query('UPDATE sluice.job SET total_batches = 1 WHERE id = $1', [before]);
    expect(await mergedAtOnce(before)).toMatchObject({ inserted: 1 });
    expect(await mergedAtOnce(id)).toMatchObject({ updated: 1 });
    expect(await mergedAtOnce(after)).toMatchObject({ updated: 1 });
    expect(await jobs.shops()).toEqual(['1 after']);
  });

  it('waits a moment for the totals, which the ingestor writes while the batch is on its way', async () => {
    const id = await jobs.loaded([[one('a')]], UPSERT);
    await jobs.pool.query('UPDATE sluice.job SET total_batches = NULL WHERE id = $1', [id]);
    expect(await mergedAtOnce(id)).toBeNull();
    let looks = 0;
    const merged = inTransaction(jobs.pool, (client) => {
      const watched = {
        query: async (sql: string, parameters?: unknown[]) => {
          const answer = await client.query(sql, parameters);
          if (sql.includes('total_batches IS NULL') && ++looks === 2)
            await jobs.pool.query('UPDATE sluice.job SET total_batches = 1 WHERE id = $1', [id]);
          return answer;
        },
      };
      return atOnce.tryOnce(watched as unknown as typeof client, id, 1);
    });
    expect(await merged).toMatchObject({ inserted: 1 });
    expect(looks).toBe(2);
  });

  it('waits for no other writer: the job is left to a finalization, which says for whom it waits', async () => {
    await jobs.loaded([[one('old')]], UPSERT);
    await finalizeJob(jobs);
    const writer = await jobs.session('somebody');
    await writer.query(`BEGIN; UPDATE public.shop SET name = 'theirs' WHERE number = '1'`);
    const id = await jobs.loaded([[one('new')]], UPSERT);
    expect(await mergedAtOnce(id)).toBeNull();
    expect(await stateOf(id)).toEqual(UNTOUCHED);
    await writer.query('COMMIT');
    expect(await mergedAtOnce(id)).toMatchObject({ updated: 1 });
    expect(await jobs.shops()).toEqual(['1 new']);
  });

  /** A trigger on the shops that are written, until `work` has ended. */
  const withTrigger = async (body: string, kind: string, work: () => Promise<void>): Promise<void> => {
    await jobs.pool.query(`
      CREATE FUNCTION public.attend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NEW; END $$;
      CREATE ${kind} FOR EACH ROW EXECUTE FUNCTION public.attend()`);
    try {
      await work();
    } finally {
      await jobs.pool.query('DROP FUNCTION public.attend CASCADE');
    }
  };

  it.each<[string, string, MergeLimits]>([
    ['a statement', 'TRIGGER slow BEFORE INSERT ON public.shop', { statementMs: 50, totalMs: 60_000 }],
    ['all of it', 'TRIGGER slow BEFORE INSERT ON public.shop', { statementMs: 60_000, totalMs: 300 }],
    [
      'a deferred check',
      'CONSTRAINT TRIGGER slow AFTER INSERT ON public.shop DEFERRABLE INITIALLY DEFERRED',
      { statementMs: 50, totalMs: 60_000 },
    ],
  ])(
    'leaves the job to the sweep when %s takes too long, and its dataset for a while (AO4)',
    async (_, kind, limits) => {
      atOnce = atOnceWith(limits);
      const id = await jobs.loaded([[one('slow')]], UPSERT);
      await withTrigger('PERFORM pg_sleep(0.5)', kind, async () => {
        expect(await mergedAtOnce(id)).toBeNull();
        expect(await stateOf(id)).toEqual(UNTOUCHED);
        expect(await jobs.shops()).toEqual([]);
        await finalizeJob(jobs);
      });
      expect(await jobs.shops()).toEqual(['1 slow']);

      const next = await jobs.loaded([[one('next')]], UPSERT);
      expect(await mergedAtOnce(next)).toBeNull();
      expect(await stateOf(next)).toEqual(UNTOUCHED);
      atOnce = atOnceWith();
      expect(await mergedAtOnce(next)).toMatchObject({ updated: 1 });
    },
  );

  it('commits without its limit (AO4)', async () => {
    const id = await jobs.loaded([[one('a')]], UPSERT);
    const limit = await inTransaction(jobs.pool, async (client) => {
      expect(await atOnce.tryOnce(client, id, 1)).not.toBeNull();
      return (await client.query<{ statement_timeout: string }>('SHOW statement_timeout')).rows;
    });
    expect(limit).toEqual([{ statement_timeout: '0' }]);
  });

  it('logs nothing of a record that a function of the user’s quotes', async () => {
    const lines: string[] = [];
    atOnce = atOnceWith(undefined, pino({ level: 'debug' }, { write: (line) => lines.push(line) }));
    for (const [raise, said] of [
      [`RAISE EXCEPTION 'a secret: %', NEW.name USING ERRCODE = 'P0001'`, 'SQLSTATE P0001'],
      ['PERFORM NEW.name::int', 'SQLSTATE 22P02'],
    ] as const) {
      const id = await jobs.loaded([[one('private')]], UPSERT);
      // Behind the search for the record at fault, which says what it has found without PostgreSQL's message.
      const body = `IF OLD.state = 'finalizing' THEN ${raise.replaceAll('NEW.name', `'private'`)}; END IF`;
      await jobs.pool.query(`
        CREATE FUNCTION public.raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NEW; END $$;
        CREATE TRIGGER raises BEFORE UPDATE ON sluice.job FOR EACH ROW EXECUTE FUNCTION public.raises()`);
      try {
        expect(await mergedAtOnce(id)).toBeNull();
      } finally {
        await jobs.pool.query('DROP FUNCTION public.raises CASCADE');
      }
      await jobs.reset();
      expect(lines.at(-1)).toContain(said);
    }
    expect(lines.join('')).not.toContain('private');
  });

  it('merges two jobs of a dataset one after the other, also when both are loaded at the same time (LN4)', async () => {
    const ids = [await jobs.loaded([[one('a')]], UPSERT), await jobs.loaded([[two('b')]], UPSERT)];
    // Neither session sees the other's ledger rows, so neither job is complete for the other.
    const { rows } = await jobs.pool.query('DELETE FROM sluice.ledger RETURNING *');
    const restore = `INSERT INTO sluice.ledger SELECT * FROM json_populate_record(NULL::sluice.ledger, $1)`;
    const both = await Promise.all(
      ids.map((id) =>
        inTransaction(jobs.pool, async (client) => {
          await client.query(restore, [JSON.stringify(rows.find(({ job }) => job === id))]);
          return atOnce.tryOnce(client, id, 1);
        }),
      ),
    );
    // The second waits for the first's COMMIT, or leaves it to the sweep.
    expect(both.some((counts) => counts !== null)).toBe(true);
    while ((await jobs.pool.query(`SELECT FROM sluice.job WHERE state = 'running'`)).rowCount !== 0)
      await finalizeJob(jobs);
    expect(await jobs.shops()).toEqual(['1 a', '2 b']);
  });

  it('keeps the claim to itself, and leaves a load that is repeated meanwhile its lock of the row (AO3, LD2)', async () => {
    const id = await jobs.loaded([[one('a')]], UPSERT);
    const other = await jobs.session();
    await inTransaction(jobs.pool, async (client) => {
      expect(await atOnce.tryOnce(client, id, 1)).not.toBeNull();
      expect(await stateOf(id)).toEqual(UNTOUCHED);
      await other.query(`BEGIN; SET LOCAL lock_timeout = '10s'`);
      await other.query('SELECT FROM sluice.job WHERE id = $1 FOR KEY SHARE', [id]);
      await other.query('COMMIT');
    });
    await untilRow(jobs.pool, `SELECT FROM sluice.job WHERE state = 'succeeded'`);
  });
});
