import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { inTransaction } from '#common/postgres/pool.js';
import { targetsOf } from './table-plan.js';
import { SHOP_PLAN, StagedJobs } from '#test/support/staged-job.js';
import { createStaging, dropStaging, findAbandonedStaging } from './staging-tables.js';
import { inspectTargets } from './inspect-targets.js';

const JOB = { id: '0199d1a2-7b3c-7def-8123-456789abcdef', mode: 'replace' } as const;

describe('staging tables', () => {
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.reset();
  });

  const create = (mode: 'replace' | 'append' = 'replace'): Promise<void> =>
    inTransaction(jobs.pool, (client) => createStaging(client, SHOP_PLAN, { ...JOB, mode }));

  it('are logged, without keys and indexes, without autovacuum, and check what the target checks', async () => {
    await create();
    const { rows } = await jobs.pool.query<Record<string, unknown>>(
      `SELECT relpersistence, relhasindex, 'autovacuum_enabled=false' = ANY(reloptions) AS quiet,
              (SELECT array_agg(conname::text) FROM pg_constraint WHERE conrelid = c.oid AND contype <> 'n') AS constraints
       FROM pg_class c WHERE relnamespace = 'sluice_staging'::regnamespace AND relkind = 'r' ORDER BY relname`,
    );
    expect(rows).toEqual([
      { relpersistence: 'p', relhasindex: false, quiet: true, constraints: null },
      { relpersistence: 'p', relhasindex: false, quiet: true, constraints: ['shop_number_check'] },
    ]);
    const table = `sluice_staging."${JOB.id.replaceAll('-', '')}_shop"`;
    const insert = `INSERT INTO ${table} (_sluice_record, number, name) VALUES`;
    await expect(jobs.pool.query(`${insert} (0, 'one', 'a')`)).rejects.toMatchObject({ code: '23514' });
    await expect(jobs.pool.query(`${insert} (NULL, '1', 'a')`)).rejects.toMatchObject({ code: '23502' });
    await jobs.pool.query(`${insert} (0, '1', 'a'), (1, '1', 'b')`);
    expect((await jobs.pool.query(`SELECT city FROM ${table}`)).rows).toEqual([
      { city: 'Taipei' },
      { city: 'Taipei' },
    ]);
  });

  it('are made once a job', async () => {
    await create();
    await expect(create()).rejects.toMatchObject({ code: '42P07' });
  });

  it('go with any name, and none is fine', async () => {
    await create();
    await inTransaction(jobs.pool, (client) => dropStaging(client, JOB));
    await inTransaction(jobs.pool, (client) => dropStaging(client, JOB));
    expect(await jobs.stagingTables()).toEqual([]);
  });

  it('of jobs that cannot be continued or resumed, or are unknown, are found', async () => {
    await create();
    const active = await jobs.loaded([[{ number: '1', name: 'a' }]]);
    expect(await findAbandonedStaging(jobs.pool)).toEqual([JOB.id]);
    const setState = (change: string): Promise<unknown> =>
      jobs.pool.query(`UPDATE sluice.job SET ${change}, finished_at = now() WHERE id = $1`, [active]);
    await setState(`state = 'failed'`);
    expect(await findAbandonedStaging(jobs.pool)).toEqual([JOB.id]);
    await setState(`state = 'failed', resumable = false`);
    expect((await findAbandonedStaging(jobs.pool)).sort()).toEqual([JOB.id, active].sort());
    await setState(`state = 'cancelled'`);
    expect((await findAbandonedStaging(jobs.pool)).sort()).toEqual([JOB.id, active].sort());
    await inTransaction(jobs.pool, (client) => dropStaging(client, { id: active }));
  });

  it('leave the caller’s search path as it was', async () => {
    const path = await inTransaction(jobs.pool, async (client) => {
      await client.query('SET LOCAL search_path = sluice, public');
      await createStaging(client, SHOP_PLAN, JOB);
      return (await client.query<{ search_path: string }>('SHOW search_path')).rows[0]?.search_path;
    });
    expect(path).toBe('sluice, public');
  });

  it('are refused by name for tables, columns and keys that are not there', async () => {
    const [shop, sale] = SHOP_PLAN;
    const making = (plan: object, mode: 'replace' | 'append'): Promise<void> =>
      inTransaction(jobs.pool, (client) =>
        createStaging(client, [{ ...shop!, ...plan }, sale!], { ...JOB, mode }),
      );
    await expect(making({ table: 'nowhere' }, 'replace')).rejects.toMatchObject({
      code: 'TARGET_MISSING',
      message: 'There is no table public.nowhere.',
    });
    await expect(making({ columns: ['number', 'colour'] }, 'replace')).rejects.toMatchObject({
      code: 'TARGET_MISSING',
      message: 'Table public."shop" has no column colour.',
    });
    await expect(making({ key: ['name'] }, 'append')).rejects.toMatchObject({
      code: 'TARGET_MISSING',
      message: 'Table public."shop" has no unique index on (name).',
    });
  });

  describe('are refused for what a merge could lose', () => {
    const PLAN = [{ ...SHOP_PLAN[0]!, table: 'kept' }];
    const LENIENT = `CREATE COLLATION IF NOT EXISTS public.lenient (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;

    it.each<[what: string, columns: string, words: string]>([
      ['a key that may be null', 'number text UNIQUE', 'key column number of public."kept" may be null'],
      [
        'a deferrable key',
        'number text PRIMARY KEY DEFERRABLE',
        'index kept_pkey of public."kept" is a DEFERRABLE constraint',
      ],
      [
        'a key that the database makes',
        'number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
        'column number of public."kept" is GENERATED ALWAYS',
      ],
      [
        'another column that the database makes',
        `number text PRIMARY KEY, name text GENERATED ALWAYS AS (lower(number)) STORED`,
        'column name of public."kept" is GENERATED ALWAYS',
      ],
      [
        'a collation under which different keys are equal',
        'number text COLLATE public.lenient PRIMARY KEY',
        'index kept_pkey of public."kept" takes different values of number for equal',
      ],
      [
        'a type under which different keys are equal',
        'number jsonb PRIMARY KEY',
        'takes different values of number for equal',
      ],
    ])('%s', async (_what, columns, words) => {
      const others = ['name text', 'city text'].filter(
        (column) => !columns.includes(column.split(' ')[0] ?? ''),
      );
      await jobs.pool.query(`${LENIENT}; CREATE TABLE public.kept (${[columns, ...others].join(', ')})`);
      try {
        for (const mode of ['append', 'upsert'] as const) {
          await expect(
            inTransaction(jobs.pool, (client) => createStaging(client, PLAN, { ...JOB, mode })),
          ).rejects.toMatchObject({
            code: 'TARGET_CANNOT_BE_MERGED',
            message: expect.stringContaining(words),
          });
        }
      } finally {
        await jobs.pool.query('DROP TABLE public.kept');
      }
    });

    it.each<[what: string, make: string, words: string]>([
      [
        'an index with another collation than its column',
        `${LENIENT}; CREATE UNIQUE INDEX k ON public.kept (number COLLATE public.lenient)`,
        'index k of public."kept" compares number in another way than the column does',
      ],
      [
        'a rule',
        `CREATE UNIQUE INDEX k ON public.kept (number);
         CREATE RULE silent AS ON INSERT TO public.kept DO INSTEAD NOTHING`,
        'public."kept" has the rule silent',
      ],
      [
        'an invalid index',
        `CREATE UNIQUE INDEX k ON public.kept (number);
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.k'::regclass`,
        'index k of public."kept" is invalid',
      ],
    ])('%s', async (_what, make, words) => {
      await jobs.pool.query('CREATE TABLE public.kept (number text NOT NULL, name text, city text)');
      try {
        await jobs.pool.query(make);
        await expect(
          inTransaction(jobs.pool, (client) => createStaging(client, PLAN, { ...JOB, mode: 'upsert' })),
        ).rejects.toMatchObject({ code: 'TARGET_CANNOT_BE_MERGED', message: expect.stringContaining(words) });
      } finally {
        await jobs.pool.query('DROP TABLE public.kept');
      }
    });

    it.each([
      'numeric',
      'char(8)',
      'uuid',
      'date',
      'timestamptz',
      'bytea',
      'varchar(8) COLLATE "C"',
      'bigint',
    ])('and nothing else: a key of type %s', async (type) => {
      await jobs.pool.query(`CREATE TABLE public.kept (number ${type} PRIMARY KEY, name text, city text)`);
      try {
        await inTransaction(jobs.pool, async (client) => {
          await createStaging(client, PLAN, { ...JOB, mode: 'upsert' });
          await dropStaging(client, JOB);
        });
      } finally {
        await jobs.pool.query('DROP TABLE public.kept');
      }
    });
  });

  it.each([
    ['append', false],
    ['replace', true],
    ['replace', false],
  ] as const)('draw nothing from a sequence of the target (%s, dry run: %s)', async (mode, dryRun) => {
    await jobs.pool.query(
      'CREATE TABLE public.kept (id serial PRIMARY KEY, number text NOT NULL UNIQUE, name text, city text)',
    );
    try {
      const plan = [{ ...SHOP_PLAN[0]!, table: 'kept' }];
      await inTransaction(jobs.pool, (client) => createStaging(client, plan, { ...JOB, mode, dryRun }));
      const staging = `sluice_staging."${JOB.id.replaceAll('-', '')}_kept"`;
      await jobs.pool.query(`INSERT INTO ${staging} (_sluice_record, number) VALUES (0, '1'), (1, '2')`);
      expect((await jobs.pool.query('SELECT is_called FROM public.kept_id_seq')).rows).toEqual([
        { is_called: false },
      ]);
    } finally {
      await inTransaction(jobs.pool, (client) => dropStaging(client, JOB));
      await jobs.pool.query('DROP TABLE public.kept');
    }
  });

  describe('are refused for what a swap cannot keep', () => {
    it.each<[what: string, make: string, undo: string, words: string]>([
      [
        'a materialized view',
        'CREATE MATERIALIZED VIEW public.mv AS SELECT * FROM shop',
        'DROP MATERIALIZED VIEW mv',
        'materialized view public.mv depends on public.shop',
      ],
      [
        'a foreign key of another table',
        'CREATE TABLE public.visit (shop varchar(8) REFERENCES shop)',
        'DROP TABLE visit',
        'constraint visit_shop_fkey on table public.visit depends on public.shop',
      ],
      [
        'a table that inherits',
        'CREATE TABLE public.kiosk () INHERITS (shop)',
        'DROP TABLE kiosk',
        'public.shop is inherited by public.kiosk',
      ],
      [
        'a rule',
        'CREATE RULE silent AS ON DELETE TO sale DO INSTEAD NOTHING',
        'DROP RULE silent ON sale',
        'public.sale has the rule silent',
      ],
      [
        'a function over the row type',
        `CREATE FUNCTION public.f(shop) RETURNS text LANGUAGE sql AS 'SELECT 1'`,
        'DROP FUNCTION f',
        `function public.f(public.shop) depends on public.shop's row type`,
      ],
      [
        'a column of the row type',
        'CREATE TABLE public.history (was shop)',
        'DROP TABLE history',
        `column was of table public.history depends on public.shop's row type`,
      ],
      [
        'a view of the row type',
        'CREATE VIEW public.whole AS SELECT shop FROM shop',
        'DROP VIEW whole',
        `view public.whole depends on public.shop's row type`,
      ],
      [
        'a publication',
        'CREATE PUBLICATION pub FOR TABLE shop',
        'DROP PUBLICATION pub',
        'public.shop is published by pub',
      ],
      [
        'an exclusion constraint',
        'ALTER TABLE sale ADD CONSTRAINT once EXCLUDE USING btree (item WITH =)',
        'ALTER TABLE sale DROP CONSTRAINT once',
        'public.sale has the exclusion constraint public.once',
      ],
      [
        'another table’s policy',
        'CREATE TABLE public.other (n text); CREATE POLICY p ON other USING (n IN (SELECT number FROM shop))',
        'DROP TABLE other',
        'policy p on table public.other depends on public.shop',
      ],
      [
        'an unlogged table',
        'ALTER TABLE sale SET UNLOGGED',
        'ALTER TABLE sale SET LOGGED',
        'public.sale is unlogged',
      ],
    ])('%s', async (_what, make, undo, words) => {
      await jobs.pool.query(make);
      try {
        await expect(create()).rejects.toMatchObject({
          code: 'TARGET_CANNOT_BE_SWAPPED',
          message: expect.stringContaining(words),
        });
        // Merging touches nothing but rows.
        await create('append');
      } finally {
        await jobs.pool.query(undo);
      }
    });

    it('a partitioned table', async () => {
      await jobs.pool.query(
        'CREATE TABLE public.parted (number varchar(8), name text, city text) PARTITION BY LIST (number)',
      );
      const plan = [{ ...SHOP_PLAN[0]!, table: 'parted' }];
      await expect(
        inTransaction(jobs.pool, (client) => createStaging(client, plan, JOB)),
      ).rejects.toMatchObject({
        code: 'TARGET_CANNOT_BE_SWAPPED',
        message: expect.stringContaining('public.parted is partitioned'),
      });
      await jobs.pool.query('DROP TABLE public.parted');
    });

    it('nothing else: views, views upon views, own foreign keys and triggers are kept', async () => {
      await jobs.pool.query(
        'CREATE VIEW public.v AS SELECT * FROM shop; CREATE VIEW public.vv AS SELECT * FROM v',
      );
      await create();
      await jobs.pool.query('DROP VIEW vv, v');
    });
  });

  it('inspection takes the server’s word for definitions', async () => {
    const [shop, sale] = await inTransaction(jobs.pool, (client) =>
      inspectTargets(client, targetsOf(SHOP_PLAN)),
    );
    expect(shop?.indexes.map(({ name, body, constraint }) => [name, body, constraint?.kind])).toEqual([
      ['shop_pkey', 'btree (number)', 'PRIMARY KEY'],
      ['shop_city_idx', "btree (lower(city)) WHERE (city <> ''::text)", undefined],
      ['shop_name_idx', 'btree (name)', undefined],
    ]);
    expect(sale?.foreignKeys).toMatchObject([
      {
        name: 'sale_shop_number_fkey',
        behind: ' ON DELETE CASCADE',
        columns: ['shop_number'],
        referenced: 'public.shop',
        referencedColumns: ['number'],
      },
    ]);
    expect(sale?.sequences).toEqual([{ name: 'sale_id_seq', column: 'id', identity: true }]);
  });
});
