import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { pino } from 'pino';
import { createPool } from '#common/postgres/pool.js';
import { JobRepository } from '#core/job/job.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { migrate } from '#core/schema/migrate.js';
import { noteServiceRole } from '#core/staging/checks/service-role.js';
import { documentedRoles } from '#test/support/documented-rights.js';
import { SHOPS, SweepHarness, finalizeJob, untilRow } from '#test/support/finalizing.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { SHOP_PLAN, SHOP_TABLES, StagedJobs, deletesOf } from '#test/support/staged-job.js';
import { endingStalledLoaders } from '../load/stalled-loaders.js';

const SERVICES = ['owner', 'ingestor', 'loader', 'tracker'] as const;
type Service = (typeof SERVICES)[number];

/** The statements of the page, for roles that no other test has. */
function documentedSql(): string[] {
  return documentedRoles().map((sql) =>
    sql.replace(/\bsluice_(owner|ingestor|loader|tracker)\b/g, 'sluice_test_roles_$1'),
  );
}

describe('services with one role each, as docs/operations.md makes them', () => {
  let server: TestDatabase;
  let admin: pg.Client;
  let loader: pg.Pool;
  let ingestor: pg.Pool;
  let jobs: StagedJobs;

  const roles = SERVICES.map((service) => `sluice_test_roles_${service}`).join(', ');
  const urlOf = (service: Service): string => {
    const url = new URL(server.url);
    url.username = `sluice_test_roles_${service}`;
    url.password = 'change me';
    return url.href;
  };

  beforeAll(async () => {
    const [asDba = '', asOwner = ''] = documentedSql();
    server = await startTestDatabase();
    admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query(`REVOKE ALL ON SCHEMA public FROM PUBLIC; ${asDba}`);
    await migrate(urlOf('owner'), []);
    const owner = new pg.Client({ connectionString: urlOf('owner') });
    await owner.connect();
    await owner.query(
      `${SHOP_TABLES}; ALTER TABLE public.shop ADD no serial; CREATE VIEW public.shop_names AS SELECT name FROM public.shop; ${asOwner}`,
    );
    await owner.end();
    loader = createPool({ url: urlOf('loader'), applicationName: 'sluice loader host:1', maxConnections: 6 });
    ingestor = createPool({
      url: urlOf('ingestor'),
      applicationName: 'sluice ingestor host:1',
      maxConnections: 2,
    });
    await noteServiceRole(loader, 'loader');
    jobs = StagedJobs.over(urlOf('loader'), loader, ingestor);
  });

  afterAll(async () => {
    await jobs.stop();
    await admin.query(`DROP OWNED BY ${roles} CASCADE; DROP ROLE ${roles}`);
    await admin.end();
    await server.stop();
  });

  it('replace, then append, then upsert: started by the ingestor, finished by the loader, repeats and orphans settled', async () => {
    const stories = [
      {
        mode: 'replace',
        batch: [
          { number: '1', name: 'a', items: ['x'] },
          { number: '1', name: 'again' },
          { number: '2', name: 'b', items: ['y', 'z'] },
        ],
        shops: ['1 a x', '2 b y+z'],
        // The repeat that is refused has used up a number of the snapshot.
        numbered: [0, 2],
      },
      {
        mode: 'append',
        batch: [
          { number: '3', name: 'c' },
          { number: '3', name: 'again' },
        ],
        shops: ['1 a x', '2 b y+z', '3 c'],
        numbered: [0, 2, 3],
      },
      {
        mode: 'upsert',
        batch: [{ number: '1', name: 'aa', items: ['x'] }],
        shops: ['1 aa x', '2 b y+z', '3 c'],
        numbered: [0, 2, 3],
      },
    ] as const;
    for (const { mode, batch, shops, numbered } of stories) {
      await jobs.loaded([batch], { mode, maxRefusedShare: 1 });
      await finalizeJob(jobs);
      expect(await jobs.shops()).toEqual(shops);
      const found = await admin.query<{ no: number }>('SELECT no FROM public.shop ORDER BY no');
      const first = found.rows[0]?.no ?? NaN;
      expect(found.rows.map(({ no }) => no - first)).toEqual(numbered);
      const { rows } = await admin.query<{ owner: string }>(
        `SELECT DISTINCT tableowner AS owner FROM pg_tables WHERE schemaname = 'public'`,
      );
      expect(rows).toEqual([{ owner: 'sluice_test_roles_owner' }]);
      await admin.query(`UPDATE sluice.job SET announced = true`);
    }
  });

  it('delete rows with the rights that the page gives, and stop where a policy would hide them (row_security is off)', async () => {
    const owner = new pg.Client({ connectionString: urlOf('owner') });
    await owner.connect();
    const dataset = { ...SHOPS, deletes: deletesOf(SHOP_PLAN) };
    const options = { mode: 'upsert', takesDeletes: true } as const;
    const record = { number: '5', name: 'five', items: ['x'] };
    try {
      await jobs.loaded([[record, { number: '6', name: 'six' }]], options);
      await finalizeJob(jobs, { dataset });
      const id = await jobs.loaded([[{ deletes: ['5'] }]], options);
      await finalizeJob(jobs, { dataset });
      expect((await jobs.end(id)).counts).toMatchObject({ deleted: 1, refused: 0 });
      await jobs.loaded([[{ deletes: ['6'] }]], options);
      // A policy that is there when a job starts stops it there; this one comes later.
      await owner.query(`
        ALTER TABLE public.shop ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY everything ON public.shop USING (true);
        CREATE POLICY keep ON public.shop AS RESTRICTIVE FOR DELETE USING (false)`);
      await expect(finalizeJob(jobs, { dataset })).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining('row-level security policy for table "shop"'),
      });
    } finally {
      await owner.query(`
        DROP POLICY IF EXISTS everything ON public.shop; DROP POLICY IF EXISTS keep ON public.shop;
        ALTER TABLE public.shop DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY`);
      await owner.end();
      await admin.query(`DELETE FROM sluice.job; DELETE FROM public.shop WHERE number IN ('5', '6')`);
    }
  });

  it('load tables of a schema of the dataset’s own, with the rights that the page gives on it', async () => {
    const [, , ownSchema = ''] = documentedSql();
    const plan = SHOP_PLAN.map((table) => ({ ...table, schema: 'crm' }));
    const { rows } = await admin.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
    await admin.query(`GRANT CREATE ON DATABASE ${rows[0]?.name ?? ''} TO sluice_test_roles_owner`);
    const owner = new pg.Client({ connectionString: urlOf('owner') });
    await owner.connect();
    await owner.query(`CREATE SCHEMA crm; ${SHOP_TABLES.replaceAll('public.', 'crm.')}`);
    const batch = [{ number: '1', name: 'a', items: ['x'] }];
    await expect(jobs.loaded([batch], { mode: 'append' }, plan)).rejects.toMatchObject({
      code: 'TARGET_FORBIDDEN',
      message: expect.stringContaining('GRANT USAGE ON SCHEMA crm TO sluice_test_roles_ingestor'),
    });
    await owner.query(ownSchema);
    await owner.end();
    for (const mode of ['append', 'replace', 'upsert'] as const) {
      const id = await jobs.loaded([[{ number: '1', name: mode, items: ['x'] }]], { mode }, plan);
      await finalizeJob(jobs, { dataset: { ...SHOPS, tables: plan } });
      expect(await jobs.end(id)).toMatchObject({ state: 'succeeded', error: null });
      await admin.query(`UPDATE sluice.job SET announced = true`);
    }
    const found = await admin.query('SELECT name, item FROM crm.shop JOIN crm.sale ON shop_number = number');
    expect(found.rows).toEqual([{ name: 'upsert', item: 'x' }]);
  });

  describe('a loader that connects as another role', () => {
    const GRANTS = 'GRANT pg_signal_backend, pg_read_all_stats TO "sluice_test_roles_loader"';
    let other: pg.Client;

    async function connect(application: string): Promise<void> {
      other = new pg.Client({ connectionString: urlOf('tracker'), application_name: application });
      await other.connect();
    }
    afterEach(() => other.end());

    it('and still holds a job: the job is paused, and the grant named', async () => {
      const id = await jobs.loaded([[{ number: '1', name: 'a' }]]);
      await connect(`sluice-finalize:${id}:1`);
      const harness = new SweepHarness(jobs);
      harness.sweep();
      try {
        await untilRow(
          loader,
          `SELECT FROM sluice.job WHERE id = $1 AND state = 'paused' AND pause_reason = 'schema'
             AND pause_detail->>'message' LIKE '%role "sluice_test_roles_tracker" (sluice-finalize:%${GRANTS}%'`,
          [id],
        );
      } finally {
        await harness.stop();
        await admin.query('DELETE FROM sluice.job WHERE id = $1', [id]);
      }
    });

    it('and stands before a batch: it is named, with the grant, when waiting for it has failed', async () => {
      await connect('sluice loader other:1');
      await other.query('BEGIN; SELECT pg_advisory_xact_lock(1)');
      const client = await loader.connect();
      try {
        const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        const pid = rows[0]?.pid ?? 0;
        const query = loader.query.bind(loader) as (...args: unknown[]) => Promise<pg.QueryResult>;
        let isSeen = false;
        // Waiting fails with the look after the one that has found the other loader.
        const looking = Object.assign(Object.create(loader) as pg.Pool, {
          query: async (...args: unknown[]) => {
            if (isSeen) await admin.query('SELECT pg_cancel_backend($1)', [pid]);
            const found = await query(...args);
            isSeen ||= found.rows.length > 0;
            return found;
          },
        });
        const waiting = endingStalledLoaders(
          { pool: looking, logger: pino({ level: 'silent' }), sessionTimeoutMs: 600_000 },
          { pid, job: 'x', dataset: 'shops' },
          () => client.query('SELECT pg_advisory_xact_lock(1)'),
        );
        await expect(waiting).rejects.toMatchObject({
          code: 'JOB_SCHEMA',
          message: expect.stringContaining(GRANTS),
        });
      } finally {
        client.release();
      }
    });
  });

  it('the ingestor queues, claims and ends jobs, and writes no data', async () => {
    const database = await controlDatabase({ url: urlOf('ingestor'), applicationName: 'test' }).initialize();
    const repository = new JobRepository(database);
    const id = '0199d1a2-7b3c-7def-8123-456789abcdef';
    await repository.create({
      ...{ id, dataset: 'shops', mode: 'replace', secretUri: 'x', dryRun: false, limitRecords: null },
      ...{
        source: { kind: 'file', display: 'x', own: { trustedCaller: true } },
        maxRefusedShare: 1,
        maxShrinkShare: null,
      },
      ...{ options: {}, contractVersion: 1 },
    });
    const claim = await repository.claimNext('one');
    expect(claim?.id).toBe(id);
    expect(await repository.fail(claim!, { code: 'SOURCE_EMPTY', message: 'x', action: 'x' })).toBe(true);
    await database.destroy();
    await expect(ingestor.query('DELETE FROM public.shop')).rejects.toMatchObject({ code: '42501' });
    await expect(ingestor.query('CREATE TABLE public.mine (n int)')).rejects.toMatchObject({ code: '42501' });
  });

  it('the tracker keeps its own tables, changes no job, and sees no data', async () => {
    const tracker = createPool({
      url: urlOf('tracker'),
      applicationName: 'sluice tracker host:1',
      maxConnections: 1,
    });
    const id = '0199d1a2-7b3c-7def-8123-456789abcdee';
    await tracker.query('SELECT state FROM sluice.job; SELECT FROM sluice.ledger');
    await expect(tracker.query('SELECT secret_uri FROM sluice.job')).rejects.toMatchObject({ code: '42501' });
    await tracker.query(`INSERT INTO sluice.letter_columns (id, names) VALUES ('${id}', '{a}')`);
    await tracker.query(
      'TRUNCATE sluice.job_batch, sluice.job_stage, sluice.dead_letter, sluice.letter_columns; DELETE FROM sluice.parked_message',
    );
    for (const forbidden of [
      'UPDATE sluice.job SET mode = mode',
      'SELECT FROM public.shop',
      'DELETE FROM sluice.ledger',
    ]) {
      await expect(tracker.query(forbidden)).rejects.toMatchObject({ code: '42501' });
    }
    await tracker.end();
  });
});
