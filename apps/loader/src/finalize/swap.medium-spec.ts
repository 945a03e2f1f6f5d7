import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { inTransaction } from '#common/postgres/pool.js';
import { inspectTargets } from '#core/staging/inspect-targets.js';
import { eventually } from '#test/support/eventually.js';
import { SHOPS, claimJob, finalizeJob, untilRow } from '#test/support/finalizing.js';
import { targetsOf } from '#core/staging/table-plan.js';
import { SHOP_PLAN, SHOP_TABLES, StagedJobs } from '#test/support/staged-job.js';

/** Everything that a table can have and a swap promises to keep. */
const FURNISHED = `${SHOP_TABLES}
  CREATE SCHEMA reports;
  CREATE TABLE public.region (code text PRIMARY KEY);
  INSERT INTO public.region VALUES ('north');
  ALTER TABLE public.shop
    ADD COLUMN region text REFERENCES public.region ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
    ADD COLUMN serial_no serial,
    ADD COLUMN label text GENERATED ALWAYS AS (number || ':' || city) STORED,
    ADD CONSTRAINT shop_name_key UNIQUE NULLS NOT DISTINCT (name) INCLUDE (city) DEFERRABLE;
  COMMENT ON TABLE public.shop IS 'All shops; it''s complete';
  COMMENT ON COLUMN public.shop.city IS 'Where it is';
  COMMENT ON CONSTRAINT shop_number_check ON public.shop IS 'digits';
  COMMENT ON INDEX public.shop_name_idx IS 'for the search';
  ALTER TABLE public.shop SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_enabled = false);
  ALTER TABLE public.shop ALTER COLUMN city SET STATISTICS 500, ALTER COLUMN name SET (n_distinct = -0.5),
    ALTER COLUMN city SET STORAGE EXTERNAL;
  ALTER TABLE public.shop CLUSTER ON shop_name_idx, REPLICA IDENTITY USING INDEX shop_pkey;
  ALTER TABLE public.sale REPLICA IDENTITY FULL;
  CREATE STATISTICS public.shop_city_region (dependencies) ON city, region FROM public.shop;
  COMMENT ON STATISTICS public.shop_city_region IS 'they go together';
  ALTER SEQUENCE public.sale_id_seq INCREMENT BY 2;
  DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_test_reader') THEN
      CREATE ROLE sluice_test_reader; CREATE ROLE sluice_test_owner;
    END IF;
  END $$;
  GRANT CREATE, USAGE ON SCHEMA public TO sluice_test_owner;
  GRANT SELECT ON public.region TO sluice_test_owner;
  GRANT REFERENCES ON public.region TO sluice_test_owner;
  ALTER TABLE public.shop OWNER TO sluice_test_owner;
  ALTER TABLE public.sale OWNER TO sluice_test_owner;
  GRANT SELECT ON public.shop TO sluice_test_reader WITH GRANT OPTION;
  GRANT SELECT (item) ON public.sale TO PUBLIC;
  REVOKE TRUNCATE ON public.sale FROM sluice_test_owner;
  GRANT USAGE ON SEQUENCE public.sale_id_seq TO sluice_test_reader;
  ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
  CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.city := upper(NEW.city); RETURN NEW; END';
  CREATE TRIGGER shop_touch BEFORE UPDATE ON public.shop FOR EACH ROW EXECUTE FUNCTION public.touch();
  CREATE TRIGGER shop_off AFTER INSERT ON public.shop FOR EACH STATEMENT EXECUTE FUNCTION public.touch();
  ALTER TABLE public.shop DISABLE TRIGGER shop_off;
  COMMENT ON TRIGGER shop_touch ON public.shop IS 'loud';
  CREATE POLICY shop_north ON public.shop AS RESTRICTIVE FOR SELECT TO sluice_test_reader USING (region = 'north');
  CREATE POLICY shop_write ON public.shop FOR INSERT WITH CHECK (city <> '');
  COMMENT ON POLICY shop_north ON public.shop IS 'only the north';
  ALTER TABLE public.shop ENABLE ROW LEVEL SECURITY;
  CREATE VIEW public.shop_names WITH (security_barrier = true) AS SELECT number, name AS shop_name FROM public.shop;
  CREATE VIEW reports."Sales per shop" AS
    SELECT s.number, count(*) AS sales FROM public.shop s JOIN public.sale ON shop_number = s.number GROUP BY s.number;
  CREATE VIEW reports.upon AS SELECT shop_name FROM public.shop_names;
  COMMENT ON VIEW public.shop_names IS 'names';
  GRANT SELECT ON public.shop_names TO sluice_test_reader;`;

const PLAIN_TABLES = targetsOf(SHOP_PLAN);

describe('the swap', () => {
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start(FURNISHED);
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.reset();
  });

  /** What the catalogs say of tables and views, without the numbers that change with every new table. */
  async function catalogs(): Promise<unknown> {
    const facts = await inTransaction(jobs.pool, (client) => inspectTargets(client, PLAIN_TABLES));
    const { rows } = await jobs.pool.query(
      `SELECT c.relname, c.relkind, pg_get_userbyid(c.relowner) AS owner, c.relacl::text, c.reloptions, obj_description(c.oid),
              CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END AS definition
       FROM pg_class c WHERE c.relnamespace IN ('public'::regnamespace, 'reports'::regnamespace) ORDER BY c.relname`,
    );
    const constraints = await jobs.pool.query(
      `SELECT conrelid::regclass::text AS table, conname, contype, convalidated, pg_get_constraintdef(oid) AS definition
       FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`,
    );
    const columns = await jobs.pool.query(
      `SELECT attrelid::regclass::text AS table, attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attstattarget,
              attoptions, attacl::text, attidentity, attgenerated, pg_get_serial_sequence(attrelid::regclass::text, attname)
       FROM pg_attribute WHERE attrelid IN ('public.shop'::regclass, 'public.sale'::regclass) AND attnum > 0 AND NOT attisdropped
       ORDER BY 1, attnum`,
    );
    const ownSequence = await jobs.pool.query(
      `SELECT s.relname, p.seqincrement FROM pg_sequence p JOIN pg_class s ON s.oid = p.seqrelid
       WHERE s.relnamespace = 'public'::regnamespace ORDER BY 1`,
    );
    return {
      facts: facts.map(({ oid: _, foreignKeys, ...rest }) => ({
        ...rest,
        foreignKeys: foreignKeys.map(({ referencedOid: _oid, ...key }) => key),
      })),
      relations: rows,
      constraints: constraints.rows,
      columns: columns.rows,
      sequences: ownSequence.rows,
    };
  }

  it('keeps names, owner, privileges, comments, policies, triggers, statistics, options and views, twice in a row', async () => {
    const before = await catalogs();
    for (const name of ['a', 'b']) {
      await jobs.loaded([[{ number: '1', name, items: ['x', 'y'] }]]);
      await finalizeJob(jobs);
      expect(await jobs.shops()).toEqual([`1 ${name} x+y`]);
      expect(await catalogs()).toEqual(before);
    }
    expect(JSON.stringify(before)).toContain('CREATE POLICY shop_north');
    expect((await jobs.pool.query('SELECT * FROM reports.upon')).rows).toEqual([{ shop_name: 'b' }]);
    expect((await jobs.pool.query('SELECT * FROM reports."Sales per shop"')).rows).toEqual([
      { number: '1', sales: '2' },
    ]);
  });

  it('leaves identity, serial and generated columns working for later writers', async () => {
    await jobs.loaded([[{ number: '1', name: 'a', items: ['x', 'y'] }]]);
    await finalizeJob(jobs);
    await jobs.pool.query(`INSERT INTO public.shop (number, name, city) VALUES ('2', 'b', 'tainan')`);
    await jobs.pool.query(`UPDATE public.shop SET city = city WHERE number = '2'`);
    await jobs.pool.query(`INSERT INTO public.sale (shop_number, item) VALUES ('2', 'z')`);
    const { rows } = await jobs.pool.query(`SELECT label FROM public.shop ORDER BY serial_no`);
    // The trigger works on what is updated, not on what was loaded.
    expect(rows.map(({ label }: { label: string }) => label)).toEqual(['1:Taipei', '2:TAINAN']);
    const ids = await jobs.pool.query<{ id: string }>('SELECT id FROM public.sale ORDER BY id');
    expect(ids.rows.map(({ id }) => Number(id))).toEqual([1, 3, 5]);
    await jobs.pool.query(`DELETE FROM public.shop WHERE number = '1'`);
    expect((await jobs.pool.query('SELECT FROM public.sale')).rowCount).toBe(1);
  });

  it('gives way to a reader that holds a table, names it, and comes again', async () => {
    await jobs.loaded([[{ number: '1', name: 'a' }]]);
    const reader = await jobs.session('long-report');
    await reader.query('BEGIN; SELECT * FROM public.sale');
    const waits: string[] = [];
    const work = finalizeJob(jobs, {
      config: { swapLockTimeoutMs: 300 },
      onStep: (step, detail) => {
        if (step === 'swap' && detail !== undefined) waits.push(detail);
      },
    });
    await untilRow(
      jobs.pool,
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'sluice-finalize:%' AND query LIKE 'LOCK TABLE%'
         AND wait_event_type = 'Lock'`,
    );
    // The swap has locked shop by now and waits for sale: others wait behind it, but only until it gives way.
    const other = await jobs.session();
    await other.query(`SET statement_timeout = '15s'`);
    await other.query('SELECT FROM public.shop');
    await other.end();
    await eventually(() => waits.length > 0, 'a word about who is in the way');
    await reader.query('COMMIT');
    await reader.end();
    await work;
    expect(waits[0]).toMatch(/^waiting for session \d+ \(long-report of \w+, idle in transaction\)$/);
    expect(await jobs.shops()).toEqual(['1 a']);
  });

  it('makes no reader fail: views are locked before tables, and no session waits in a circle', async () => {
    await jobs.loaded([[{ number: '1', name: 'a', items: ['x'] }]]);
    const readers = await Promise.all(['one', 'two', 'three'].map((name) => jobs.session(name)));
    let swapping = true;
    const work = finalizeJob(jobs).finally(() => {
      swapping = false;
    });
    const read = async (reader: (typeof readers)[number], index: number): Promise<number> => {
      let reads = 0;
      while (swapping || reads === 0) {
        await reader.query(
          index === 0
            ? 'BEGIN; SELECT FROM public.sale; SELECT FROM public.shop; COMMIT'
            : 'SELECT * FROM reports.upon',
        );
        await reader.query('SELECT * FROM reports."Sales per shop"');
        reads++;
      }
      return reads;
    };
    for (const reads of await Promise.all(readers.map(read))) expect(reads).toBeGreaterThan(0);
    await work;
    await Promise.all(readers.map((reader) => reader.end()));
  });

  it('shows the old rows until the swap is committed, and the new ones to the next statement (G5)', async () => {
    await jobs.pool.query(`INSERT INTO public.shop (number, name) VALUES ('7', 'old')`);
    await jobs.loaded([[{ number: '1', name: 'new' }]]);
    const seen: string[][] = [];
    const looks: Promise<unknown>[] = [];
    await finalizeJob(jobs, {
      onStep: () => {
        looks.push(jobs.shops().then((shops) => seen.push(shops)));
      },
    });
    await Promise.all(looks);
    expect(seen[0]).toEqual(['7 old']);
    for (const shops of seen) expect([['7 old'], ['1 new']]).toContainEqual(shops);
    expect(await jobs.shops()).toEqual(['1 new']);
  });

  it('waits for a snapshot that would find the new table empty, names its session, and stops at the bound', async () => {
    await jobs.pool.query(`INSERT INTO public.shop (number, name) VALUES ('7', 'old')`);
    await jobs.loaded([[{ number: '1', name: 'new' }]]);
    const reader = await jobs.session('old-report');
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await reader.query('SELECT 1');
    // Its snapshot has to be older than something that was committed since.
    await jobs.pool.query(`UPDATE public.region SET code = code`);
    const waits: string[] = [];
    let rows: unknown[] = [];
    await finalizeJob(jobs, {
      onStep: (step, detail) => {
        if (step !== 'snapshots' || detail === undefined) return;
        waits.push(detail);
        void reader
          .query('SELECT name FROM public.shop')
          .then((result) => {
            rows = result.rows;
          })
          .then(() => reader.end());
      },
    });
    expect(waits).toEqual([
      expect.stringMatching(/^waiting for session \d+ \(old-report of \w+, idle in transaction\)$/),
    ]);
    expect(rows).toEqual([{ name: 'old' }]);

    await jobs.loaded([[{ number: '1', name: 'newer' }]]);
    const stubborn = await jobs.session('stubborn');
    await stubborn.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await stubborn.query('SELECT 1');
    await jobs.pool.query(`UPDATE public.region SET code = code`);
    await finalizeJob(jobs, { config: { snapshotWaitMs: 1 } });
    expect(await jobs.shops()).toEqual(['1 newer']);
    await stubborn.end();
  });

  it('refuses to swap over a table that was altered meanwhile, and leaves it', async () => {
    await jobs.loaded([[{ number: '1', name: 'new' }]]);
    await jobs.pool.query('ALTER TABLE public.shop ADD COLUMN extra int');
    try {
      await expect(finalizeJob(jobs)).rejects.toMatchObject({
        code: 'TARGET_CHANGED',
        message: expect.stringContaining('new: extra integer'),
      });
    } finally {
      await jobs.pool.query('ALTER TABLE public.shop DROP COLUMN extra');
    }
    expect(await jobs.shops()).toEqual([]);
  });

  it('keeps an index that appears, and loses one that goes, between preparing and swapping', async () => {
    await jobs.loaded([[{ number: '1', name: 'new' }]]);
    const before = await catalogs();
    let once: Promise<unknown> | undefined;
    const steps = await finalizeJob(jobs, {
      config: { snapshotWaitMs: 60_000 },
      onStep: (step) => {
        if (step !== 'analyze') return;
        once ??= jobs.pool.query(
          'CREATE INDEX shop_extra ON public.shop (created_at); DROP INDEX public.sale_item_idx',
        );
      },
    });
    await once;
    expect(steps.filter((step) => step === 'swap')).toHaveLength(2);
    const { rows } = await jobs.pool.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relname IN ('shop_extra', 'sale_item_idx')`,
    );
    expect(rows).toEqual([{ name: 'shop_extra' }]);
    await jobs.pool.query(
      'DROP INDEX public.shop_extra; CREATE INDEX sale_item_idx ON public.sale (item, shop_number)',
    );
    expect(await catalogs()).toEqual(before);
  });

  it('refuses by name what came to depend on the tables meanwhile', async () => {
    await jobs.loaded([[{ number: '1', name: 'new' }]]);
    await jobs.pool.query('CREATE MATERIALIZED VIEW reports.frozen AS SELECT * FROM public.shop');
    try {
      await expect(finalizeJob(jobs)).rejects.toMatchObject({
        code: 'TARGET_CANNOT_BE_SWAPPED',
        message: expect.stringContaining('materialized view reports.frozen depends on public.shop'),
      });
    } finally {
      await jobs.pool.query('DROP MATERIALIZED VIEW reports.frozen');
    }
  });

  it('stops waiting for the lock when the job is cancelled', async () => {
    const id = await jobs.loaded([[{ number: '1', name: 'new' }]]);
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT * FROM public.shop');
    const job = await claimJob(jobs);
    const work = finalizeJob(jobs, {
      job,
      config: { swapLockTimeoutMs: 20 },
      onStep: (step, detail) => {
        if (step === 'swap' && detail !== undefined) {
          void jobs.pool.query(
            `UPDATE sluice.job SET state = 'cancelled', finished_at = now(), epoch = epoch + 1 WHERE id = $1`,
            [id],
          );
        }
      },
    });
    await expect(work).rejects.toMatchObject({ code: 'JOB_LOST' });
    await reader.end();
    expect(await jobs.shops()).toEqual([]);
    await untilRow(jobs.pool, `SELECT FROM pg_class WHERE relnamespace = 'sluice_staging'::regnamespace`);
  });
});

describe('the swap of tables with awkward names', () => {
  const MAIN = 'Läden "aller" Städte und Gemeinden; mit sehr langem Namen!';
  const CHILD = 'verkaeufe_aller_laeden_mit_einem_namen_von_dreiundsechzig_zeich';
  const [shop, sale] = SHOP_PLAN;
  const plan = [
    { ...shop!, table: MAIN },
    { ...sale!, table: CHILD, parent: { table: MAIN, columns: { shop_number: 'number' } } },
  ];
  const main = pg.escapeIdentifier(MAIN);
  const child = pg.escapeIdentifier(CHILD);
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start(`
      CREATE TABLE public.${main} (number varchar(8) PRIMARY KEY, name text NOT NULL UNIQUE, city text);
      CREATE INDEX ON public.${main} (city);
      CREATE INDEX ON public.${main} (city, name);
      CREATE STATISTICS public.${pg.escapeIdentifier(`${MAIN.slice(0, 40)}_stat`)} ON city, name FROM public.${main};
      CREATE TABLE public.${child} (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        shop_number varchar(8) NOT NULL REFERENCES public.${main}, item text NOT NULL, UNIQUE (shop_number, item)
      );
      CREATE VIEW public."v 'x'" AS SELECT name AS "Name" FROM public.${main}`);
  });
  afterAll(() => jobs.stop());

  it('keeps every name, however long and however quoted', async () => {
    const names = async (): Promise<unknown> =>
      (
        await jobs.pool.query(
          `SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace
           UNION ALL SELECT conname, contype FROM pg_constraint WHERE connamespace = 'public'::regnamespace
           UNION ALL SELECT stxname, 's' FROM pg_statistic_ext ORDER BY 1, 2`,
        )
      ).rows;
    const before = await names();
    for (const name of ['a', 'b']) {
      const batch = [
        { number: '1', name, items: ['x'] },
        { number: '1', name: 'again', items: ['y'] },
      ];
      await jobs.loaded([batch], { maxRefusedShare: 1 }, plan);
      await finalizeJob(jobs, { dataset: { ...SHOPS, tables: plan } });
      expect((await jobs.pool.query(`SELECT "Name" FROM public."v 'x'"`)).rows).toEqual([{ Name: name }]);
      expect((await jobs.pool.query(`SELECT id, item FROM public.${child}`)).rows).toEqual([
        { id: 1, item: 'x' },
      ]);
      expect(await names()).toEqual(before);
    }
  });
});
