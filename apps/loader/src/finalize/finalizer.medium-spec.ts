import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { watchFaultPoints } from '#common/faults/fault-point.js';
import { eventually } from '#test/support/eventually.js';
import { claimJob, finalizeJob, takeOver } from '#test/support/finalizing.js';
import { type JobOptions, type Shop, StagedJobs, type Unaccepted } from '#test/support/staged-job.js';
import type { FinalizeStep } from './finalizing-job.js';

const SHOP_A = { number: '1', name: 'a', items: ['x', 'y'] };
const SHOP_B = { number: '2', name: 'b' };

describe('Finalizer', () => {
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.reset();
    await jobs.pool.query(`INSERT INTO public.shop (number, name) VALUES ('9', 'old')`);
  });

  /** `count` shops, numbered from 100. */
  const shops = (count: number): Shop[] =>
    Array.from({ length: count }, (_, i) => ({ number: String(100 + i), name: `s${i}` }));

  it('makes a whole snapshot visible, and ends the job with its sums in the same transaction', async () => {
    const id = await jobs.loaded([
      [SHOP_A, 'skipped'],
      [SHOP_B, 'refused'],
    ]);
    const steps = await finalizeJob(jobs);
    expect(steps).toEqual([
      ...['check', 'index', 'vacuum', 'index', 'constraints', 'analyze'],
      ...['check', 'snapshots', 'swap'],
    ]);
    expect(await jobs.shops()).toEqual(['1 a x+y', '2 b']);
    expect(await jobs.end(id)).toEqual({
      state: 'succeeded',
      epoch: 2,
      announced: false,
      error: null,
      findings: { BAD_NAME: 1, ODD_NAME: 2 },
      counts: {
        read: 4,
        accepted: 2,
        refused: 1,
        refusedAtValidate: 1,
        refusedAtLoad: 0,
        skipped: 1,
        loaded: 2,
        inserted: 2,
        updated: 0,
        unchanged: 0,
        deleted: 0,
        superseded: 0,
        warnings: 2,
      },
    });
    expect(await jobs.stagingTables()).toEqual([]);
  });

  it('erases the credentials of the source with the end of the job', async () => {
    const id = await jobs.loaded([[SHOP_A]]);
    await jobs.pool.query(`UPDATE sluice.job SET secret_uri = 'canary' WHERE id = $1`, [id]);
    await finalizeJob(jobs);
    const { rows } = await jobs.pool.query('SELECT state, secret_uri FROM sluice.job WHERE id = $1', [id]);
    expect(rows).toEqual([{ state: 'succeeded', secret_uri: '' }]);
  });

  it('makes an empty snapshot visible when the job may shrink to nothing', async () => {
    await jobs.loaded([]);
    await finalizeJob(jobs);
    expect(await jobs.shops()).toEqual([]);
  });

  it.each<[string, (Shop | Unaccepted)[], JobOptions]>([
    ['every record was refused', ['refused', 'refused'], { maxRefusedShare: 1 }],
    ['there are fewer records than a share is judged from', ['refused'], {}],
    ['every record was skipped', ['skipped', 'skipped'], { mode: 'append' }],
    ['it was a dry run', ['refused', 'skipped'], { mode: 'upsert', dryRun: true }],
  ])('fails a job of which nothing can be loaded: %s', async (_, records, options) => {
    await jobs.loaded([records], options);
    await expect(finalizeJob(jobs)).rejects.toMatchObject({ code: 'JOB_NOTHING_LOADED', retryable: false });
  });

  it('does not fail a stream’s job of which nothing can be loaded: others of the stream come', async () => {
    const id = await jobs.loaded([['refused']], { mode: 'upsert', maxRefusedShare: 1 });
    await jobs.pool.query('UPDATE sluice.job SET stream = dataset WHERE id = $1', [id]);
    await finalizeJob(jobs);
    expect(await jobs.end(id)).toMatchObject({
      state: 'succeeded',
      counts: { read: 1, refused: 1, loaded: 0 },
    });
  });

  it('does not fail a job whose records are all in the table already', async () => {
    await jobs.pool.query(`INSERT INTO public.shop VALUES ('1', 'a')`);
    const id = await jobs.loaded([[{ number: '1', name: 'a' }]], { mode: 'append' });
    await finalizeJob(jobs);
    expect((await jobs.end(id)).counts).toMatchObject({ loaded: 0, superseded: 1 });
  });

  describe('before anything is visible', () => {
    const refused = async (
      batches: (Shop | Unaccepted)[][],
      options: JobOptions,
      spoil = (_id: string): Promise<unknown> => Promise.resolve(),
    ): Promise<{ code: string; message: string }> => {
      const id = await jobs.loaded(batches, options);
      await spoil(id);
      const error: unknown = await finalizeJob(jobs).then(
        () => 'no error',
        (thrown: unknown) => thrown,
      );
      expect(await jobs.shops()).toEqual(expect.arrayContaining(['9 old']));
      expect((await jobs.end(id)).state).toBe('finalizing');
      return error as { code: string; message: string };
    };
    const half: (Shop | Unaccepted)[][] = [
      [...shops(95), ...Array.from({ length: 5 }, () => 'refused' as const)],
    ];

    it('a larger refused share than allowed is refused, from 100 records on', async () => {
      expect(await refused(half, { maxRefusedShare: 0.049 })).toMatchObject({
        code: 'JOB_REFUSED_SHARE',
        message: '5 of 100 records were refused (5.0 %); 4.9 % are allowed.',
      });
    });

    it('a share at the limit is let pass, and so is any share of fewer than 100 records', async () => {
      await jobs.loaded(half, { maxRefusedShare: 0.05 });
      await finalizeJob(jobs);
      await jobs.loaded([[...shops(1), ...Array.from({ length: 98 }, () => 'refused' as const)]], {
        maxRefusedShare: 0,
      });
      await finalizeJob(jobs);
      expect(await jobs.shops()).toEqual(['100 s0']);
    });

    it('a strict job fails for a single refused record, also below 100 records and below the allowed share', async () => {
      const one: (Shop | Unaccepted)[][] = [[...shops(3), 'refused']];
      expect(await refused(one, { strict: true, maxRefusedShare: 1 })).toMatchObject({
        code: 'STRICT_REFUSED',
        message: '1 of 4 records were refused, and the job is strict.',
      });
    });

    it('duplicates count as refused in a strict job, too; records that are skipped do not', async () => {
      expect(await refused([[...shops(3), ...shops(1)]], { strict: true })).toMatchObject({
        code: 'STRICT_REFUSED',
      });
    });

    it('duplicates count as refused', async () => {
      const repeats = [...shops(97), ...shops(3)];
      expect(await refused([repeats], { maxRefusedShare: 0.02 })).toMatchObject({
        code: 'JOB_REFUSED_SHARE',
        message: expect.stringMatching(/^3 of 100/),
      });
    });

    it('a snapshot that shrinks too much is refused with its figures, one at the limit is not', async () => {
      await jobs.pool.query(`INSERT INTO public.shop SELECT i, 'old' FROM generate_series(10, 18) AS i`);
      expect(await refused([shops(7)], { maxShrinkShare: 0.2 })).toMatchObject({
        code: 'JOB_SHRINKS',
        message: 'The new shop has 7 rows and the present one 10: 30.0 % fewer; 20.0 % are allowed.',
      });
      await jobs.pool.query('DELETE FROM sluice.job');
      await jobs.loaded([shops(8)], { maxShrinkShare: 0.2 });
      await finalizeJob(jobs);
      expect(await jobs.shops()).toHaveLength(8);
    });

    it.each([
      [
        'a batch whose sum does not add up',
        'UPDATE sluice.ledger SET accepted = accepted + 1 WHERE job = $1 AND batch = 1',
        'differ from their records',
      ],
      [
        'a gap between records',
        'UPDATE sluice.ledger SET first_record = first_record + 1 WHERE job = $1 AND batch = 1',
        'gaps between batches',
      ],
      [
        'a gap between bytes',
        'UPDATE sluice.ledger SET byte_start = byte_start + 1 WHERE job = $1 AND batch = 1',
        'gaps between batches',
      ],
      [
        'bytes that were not read to the end',
        'UPDATE sluice.ledger SET byte_end = byte_end - 1 WHERE job = $1 AND batch = 1',
        'last byte of the last batch',
      ],
      [
        'a batch of another version of the source (LB4)',
        'UPDATE sluice.ledger SET crc32c = crc32c + 1 WHERE job = $1 AND batch = 1',
        'checksums of the batches',
      ],
    ])('%s is refused (G1, G2)', async (_what, sql, words) => {
      const spoil = (id: string): Promise<unknown> => jobs.pool.query(sql, [id]);
      expect(await refused([[SHOP_A], [SHOP_B]], {}, spoil)).toMatchObject({
        code: 'JOB_UNBALANCED',
        message: expect.stringContaining(words),
      });
    });

    it.each([
      ['shop', 'replace', 'rows of shop: 0 staged and 0 refused, of 2 loaded'],
      ['sale', 'replace', 'rows of sale: 0 staged and 0 refused, of 2 loaded'],
      ['sale', 'append', 'rows of sale: 0 staged and 0 refused, of 2 loaded'],
      ['sale', 'upsert', 'rows of sale: 0 staged and 0 refused, of 2 loaded'],
    ] as const)(
      'rows of %s that are missing in staging are noticed by %s, though the ledger adds up (G2)',
      async (table, mode, words) => {
        const spoil = (id: string): Promise<unknown> =>
          jobs.pool.query(`DELETE FROM sluice_staging."${id.replaceAll('-', '')}_${table}"`);
        expect(await refused([[SHOP_A], [SHOP_B]], { mode }, spoil)).toMatchObject({
          code: 'JOB_UNBALANCED',
          message: expect.stringContaining(words),
        });
      },
    );

    it('a job whose ledger is not complete is not even claimed', async () => {
      const id = await jobs.loaded([[SHOP_A], [SHOP_B]]);
      await jobs.pool.query('DELETE FROM sluice.ledger WHERE job = $1 AND batch = 0', [id]);
      await expect(claimJob(jobs)).rejects.toThrow('No job is due.');
    });
  });

  describe('a dry run', () => {
    it('does all steps in staging, counts, and leaves the table as it was', async () => {
      const id = await jobs.loaded([[SHOP_A, SHOP_B, { number: '1', name: 'again' }]], {
        dryRun: true,
        maxRefusedShare: 1,
      });
      expect(await finalizeJob(jobs)).toEqual(['check', 'index', 'settle', 'index', 'settle', 'report']);
      expect(await jobs.shops()).toEqual(['9 old']);
      expect(await jobs.end(id)).toMatchObject({
        state: 'succeeded',
        counts: { read: 3, loaded: 2, inserted: 2, refusedAtLoad: 1 },
        findings: { DUPLICATE: 1 },
      });
      expect(await jobs.stagingTables()).toEqual([]);
    });

    it('fails for what the run would fail for', async () => {
      await jobs.pool.query(`INSERT INTO public.shop VALUES ('8', 'old')`);
      await jobs.loaded([[SHOP_A]], { dryRun: true, maxShrinkShare: 0.2 });
      await expect(finalizeJob(jobs)).rejects.toMatchObject({ code: 'JOB_SHRINKS' });
    });
  });

  describe('after a kill', () => {
    const repeated = [[SHOP_A, SHOP_B], [{ number: '1', name: 'again', items: ['z'] }]];
    const whole = [
      'check',
      'index',
      'settle',
      'index',
      'vacuum',
      'index',
      'constraints',
      'analyze',
      'check',
      'snapshots',
      'swap',
    ];

    it.each(whole.map((step, at): [number, string] => [at, step]))(
      'before step %i (%s), a successor comes to the same end',
      async (at) => {
        const id = await jobs.loaded(repeated, { maxRefusedShare: 1 });
        const killed = finalizeJob(jobs, {
          onStep: stopAt(at),
        });
        await expect(killed).rejects.toThrow('killed');
        expect(await jobs.shops()).toEqual(['9 old']);
        await finalizeJob(jobs, { job: await takeOver(jobs) });
        expect(await jobs.shops()).toEqual(['1 a x+y', '2 b']);
        expect(await jobs.end(id)).toMatchObject({
          state: 'succeeded',
          counts: { loaded: 2, refusedAtLoad: 1 },
        });
        expect((await jobs.refusals(id)).map(({ refusals }) => refusals.length)).toEqual([0, 1]);
        expect(await jobs.stagingTables()).toEqual([]);
      },
    );

    function stopAt(at: number): (step: FinalizeStep) => void {
      let passed = 0;
      return () => {
        if (passed++ === at) throw new RangeError('killed');
      };
    }

    it('a loader that has lost the job can neither continue nor end it', async () => {
      const id = await jobs.loaded([[SHOP_A]]);
      const first = await claimJob(jobs);
      const second = await takeOver(jobs);
      await expect(finalizeJob(jobs, { job: first })).rejects.toMatchObject({ code: 'JOB_LOST' });
      await finalizeJob(jobs, { job: second });
      await expect(finalizeJob(jobs, { job: second })).rejects.toMatchObject({ code: 'JOB_LOST' });
      expect(await jobs.end(id)).toMatchObject({ state: 'succeeded', epoch: 3 });
    });

    it('a stalled predecessor that holds the tables is ended, and its swap with it', async () => {
      await jobs.loaded([[SHOP_A]]);
      const stalled = await claimJob(jobs);
      // A finalizer that stands still in the middle of its swap: locks taken, nothing committed.
      const backend = await jobs.session(`sluice-finalize:${stalled.id}:${stalled.epoch}`);
      await backend.query('BEGIN; LOCK TABLE public.shop IN ACCESS EXCLUSIVE MODE');
      await finalizeJob(jobs, { job: await takeOver(jobs) });
      expect(await jobs.shops()).toEqual(['1 a x+y']);
      await expect(backend.query('COMMIT')).rejects.toThrow();
    });

    it('a backend that is ended in the middle of a step leaves nothing half done', async () => {
      const id = await jobs.loaded([[SHOP_A, SHOP_B]]);
      const blocker = await jobs.session('blocker');
      // Holds the index build up, so that there is a middle.
      await blocker.query(
        `BEGIN; LOCK TABLE sluice_staging."${id.replaceAll('-', '')}_shop" IN ROW EXCLUSIVE MODE`,
      );
      let outcome: unknown;
      void finalizeJob(jobs).then(
        () => (outcome = 'done'),
        (error: unknown) => (outcome = error),
      );
      // Indexes are built side by side: a second build may begin to wait after the first one was ended.
      await eventually(async () => {
        await jobs.pool.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'sluice-finalize:%' AND wait_event_type = 'Lock'`,
        );
        return outcome !== undefined;
      }, 'the finalization to end');
      expect(outcome).toMatchObject({ code: '57P01' });
      await blocker.end();
      await finalizeJob(jobs, { job: await takeOver(jobs) });
      expect(await jobs.shops()).toEqual(['1 a x+y', '2 b']);
    });
  });

  describe('after a fault inside a step', () => {
    const repeated = [
      [SHOP_A, SHOP_B],
      [{ number: '9', name: 'new', items: ['z'] }, SHOP_A],
    ];
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-faults-'));
      watchFaultPoints(folder);
    });
    afterAll(() => {
      watchFaultPoints('');
      rmSync(folder, { recursive: true });
    });

    it.each([
      ['finalizer.settling', 'replace'],
      ['finalizer.index-build', 'replace'],
      ['finalizer.before-swap', 'replace'],
      ['finalizer.in-swap', 'replace'],
      ['finalizer.in-merge', 'append'],
      ['finalizer.in-merge', 'upsert'],
    ] as const)(
      '%s, by %s: the tables are as they were, and a successor comes to the same end',
      async (point, mode) => {
        const id = await jobs.loaded(repeated, { mode, maxRefusedShare: 1 });
        writeFileSync(join(folder, point), 'throw');
        await expect(finalizeJob(jobs)).rejects.toThrow(`fault point ${point}`);
        expect(await jobs.shops()).toEqual(['9 old']);
        expect(await jobs.end(id)).toMatchObject({ state: 'finalizing', counts: null });
        await finalizeJob(jobs, { job: await takeOver(jobs) });
        expect(await jobs.shops()).toEqual(['1 a x+y', '2 b', mode === 'append' ? '9 old' : '9 new z']);
        expect(await jobs.end(id)).toMatchObject({ state: 'succeeded' });
      },
    );

    it.each(['replace', 'append', 'upsert'] as const)(
      'finalizer.visible, by %s: the job has ended, with its tables',
      async (mode) => {
        const id = await jobs.loaded(repeated, { mode, maxRefusedShare: 1 });
        writeFileSync(join(folder, 'finalizer.visible'), 'throw');
        await expect(finalizeJob(jobs)).rejects.toThrow('fault point finalizer.visible');
        expect(await jobs.shops()).toHaveLength(3);
        expect(await jobs.end(id)).toMatchObject({ state: 'succeeded', announced: false });
        expect(await jobs.stagingTables()).toEqual([]);
      },
    );
  });
});
