import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { queueJob } from '#test/support/queued-job.js';
import { RunFolder } from '#test/support/run-folder.js';
import { judgeWhole } from '../conformance/judge-file.js';
import { tableProblems } from '../conformance/table-problems.js';
import {
  ChildTable,
  Children,
  Column,
  Constant,
  FromParent,
  Provenance,
  SlotNumber,
  Table,
  type ColumnOptions,
} from '../dataset/columns.js';
import type { ContractClass, Dataset } from '../dataset/dataset.js';
import { defineDataset } from '../dataset/define-dataset.js';
import {
  date,
  flag,
  float64,
  int16,
  int32,
  int64,
  isoDate,
  type Kind,
  numeric,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
  varchar,
} from '../dataset/kinds.js';
import { derivedGenerator } from '../derive/generator.js';
import { createTablesSql, dropTablesSql, qualified, tableFacts } from '../derive/table-sql.js';
import { JobRepository } from '../job/job.repository.js';
import { controlDatabase } from './control-database.js';
import { migrateAll } from './migrate.js';
import { firstMigration, proposeChange } from './propose-migration.js';
import { recreateTables } from './recreate-tables.js';

const EXAMPLES = fileURLToPath(new URL('../../../../test/fixtures/contract-examples', import.meta.url));

interface Columns {
  readonly [property: string]: ColumnOptions;
}

/** A contract that is put together while the test runs. */
function contract(columns: Columns, key: readonly string[] = ['id'], child?: ContractClass): ContractClass {
  class Row {}
  for (const [property, options] of Object.entries(columns)) Column(options)(Row.prototype, property);
  if (child !== undefined) Children(() => child, { path: 'lines' })(Row.prototype, 'lines');
  Table({ name: 'thing', key })(Row);
  return Row;
}

function childContract(columns: Columns): ContractClass {
  class Line {}
  FromParent('id', { target: 'thing_id' })(Line.prototype, 'parent');
  SlotNumber()(Line.prototype, 'position');
  for (const [property, options] of Object.entries(columns)) Column(options)(Line.prototype, property);
  ChildTable({ name: 'thing_line' })(Line);
  return Line;
}

function datasetOf(made: ContractClass, format: 'csv' | 'ndjson' = 'csv'): Dataset {
  return { ...defineDataset({ title: 'Things', contract: made, format }), name: 'things' };
}

const ID: ColumnOptions = { kind: int64(), required: true };

describe('tables from a contract', () => {
  let server: TestDatabase;
  let client: pg.Client;
  let folder: RunFolder;
  let home: string;

  beforeAll(async () => {
    folder = new RunFolder('drafts');
    server = await startTestDatabase();
    client = new pg.Client({ connectionString: server.url });
    client.on('notice', () => undefined);
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await server.stop();
    await folder.remove();
  });
  beforeEach(async () => {
    home = join(folder.path, 'things');
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home);
    await client.query('DROP TABLE IF EXISTS thing_line, thing CASCADE');
    await client.query('DROP SCHEMA IF EXISTS sluice, sluice_staging CASCADE');
  });

  const entry = (dataset: Dataset) => ({ name: 'things', folder: home, dataset });
  const migrated = async (dataset: Dataset) => {
    const { applied, problems } = await migrateAll(server.url, [entry(dataset)]);
    return { applied: applied.filter((name) => name.startsWith('things')), problems };
  };
  const problemsOf = (dataset: Dataset): Promise<string[]> =>
    tableProblems(client, { ...entry(dataset), schema: 'public', tables: [] });
  const oidOf = async (table: string): Promise<unknown> =>
    (await client.query<{ oid: unknown }>('SELECT to_regclass($1)::oid AS oid', [table])).rows[0]?.oid;

  /** Values go through the same input functions of PostgreSQL as in COPY. */
  async function store(dataset: Dataset, file: Buffer): Promise<number> {
    const { tables, counts } = judgeWhole(dataset, file);
    for (const facts of tableFacts(dataset)) {
      for (const { _sluice_record: _, ...row } of tables[facts.table] ?? []) {
        const names = Object.keys(row).map((name) => `"${name}"`);
        const places = names.map((_name, at) => `$${at + 1}`);
        const statement = `INSERT INTO ${qualified(facts)} (${names.join()}) VALUES (${places.join()})`;
        await client.query(`${statement} ON CONFLICT DO NOTHING`, Object.values(row));
      }
    }
    return counts.accepted;
  }

  it.each(readdirSync(EXAMPLES))('DT1: %s: take every accepted row', async (name) => {
    const module = (await import(pathToFileURL(join(EXAMPLES, name, 'dataset.ts')).href)) as {
      default: Dataset;
    };
    const dataset = { ...module.default, name: 'example' };
    await client.query(createTablesSql(dataset));
    try {
      const generate = (): Buffer =>
        Buffer.concat([...derivedGenerator(dataset)({ rows: 60, seed: 1, defectShare: 0.4 })]);
      if (!/^(08|16)/.test(name)) expect(await store(dataset, generate())).toBeGreaterThan(20);
      expect(await tableProblems(client, { ...entry(dataset), schema: 'public', tables: [] })).toEqual([]);
    } finally {
      await client.query(dropTablesSql(dataset));
    }
  });

  const KINDS: readonly Kind[] = [
    text(),
    varchar(3),
    int16(),
    int32(),
    int64({ nonNegative: true, removeCommas: true }),
    numeric(),
    numeric({ precision: 8, scale: 2 }),
    numeric({ decimalMark: ',', thousandsMark: '.' }),
    float64(),
    flag({ true: ['Y', '1'], false: ['N'] }),
    isoDate(),
    date('DD/MM/YYYY'),
    time(),
    timestamp(),
    timestamptz(),
    uuid(),
  ];
  const column = fc.record({
    kind: fc.constantFrom(...KINDS),
    required: fc.constantFrom<ColumnOptions['required']>(true, false),
    isReplaced: fc.boolean(),
    severity: fc.constantFrom('error' as const, 'warning' as const),
  });
  const names = fc.uniqueArray(
    fc.constantFrom('order', 'select', 'größe', 'a', 'someName', 'user', 'Mixed'),
    {
      maxLength: 7,
    },
  );

  it('DT1, DT2: those of random contracts take every accepted row', async () => {
    const columns = names.chain((list) =>
      fc.tuple(...list.map((name) => fc.tuple(fc.constant(name), column))),
    );
    await fc.assert(
      fc.asyncProperty(columns, fc.nat(), async (list, seed) => {
        const options = Object.fromEntries(
          list.map(([name, { kind, required, isReplaced, severity }]): [string, ColumnOptions] => [
            name,
            {
              kind,
              ...(required === undefined ? {} : { required: severity === 'error' ? required : false }),
              ...(isReplaced && kind.columnType === 'text' ? { ifNull: '' } : {}),
              ifInvalid: { severity },
            },
          ]),
        );
        const make = (): Dataset => {
          const made = contract({ id: ID, ...options });
          Constant('EUR')(made.prototype as object, 'currency');
          Provenance('line')(made.prototype as object, 'line');
          return datasetOf(made);
        };
        const dataset = make();
        expect(createTablesSql(make())).toBe(createTablesSql(dataset));
        await client.query(createTablesSql(dataset));
        try {
          const file = [...derivedGenerator(dataset)({ rows: 30, seed, defectShare: 0.5 })];
          expect(await store(dataset, Buffer.concat(file))).toBeGreaterThan(0);
        } finally {
          await client.query(dropTablesSql(dataset));
        }
      }),
      { numRuns: 60 },
    );
  });

  describe('of a draft', () => {
    it('are made, left alone, made again while they are empty, and refused when they hold rows (DR1, DR2)', async () => {
      const first = datasetOf(contract({ id: ID, name: {} }));
      expect(await migrated(first)).toEqual({ applied: ['things/contract (draft, made)'], problems: [] });
      const oid = await oidOf('thing');
      expect(await migrated({ ...first, title: 'Other words' })).toEqual({ applied: [], problems: [] });
      expect(await oidOf('thing')).toBe(oid);

      const second = datasetOf(contract({ id: ID, name: {}, more: {} }));
      expect((await migrated(second)).applied).toEqual(['things/contract (draft, made again)']);
      await client.query("INSERT INTO thing (id, more) VALUES (1, 'x')");
      const { applied, problems } = await migrated(first);
      expect(applied).toEqual([]);
      expect(problems).toMatchObject([
        { code: 'DRAFT_CHANGED', message: expect.stringContaining('public.thing') },
      ]);
      expect((await client.query('SELECT * FROM thing')).rows).toEqual([{ id: '1', name: null, more: 'x' }]);
      await recreateTables(server.url, entry(first));
      expect((await client.query('SELECT * FROM thing')).rows).toEqual([]);
      expect(await migrated(first)).toEqual({ applied: [], problems: [] });
      expect(await problemsOf(first)).toEqual([]);
    });

    it('that the contract has lost are dropped with the others, unless they hold rows', async () => {
      const withChild = datasetOf(contract({ id: ID }, ['id'], childContract({ sku: {} })), 'ndjson');
      const without = datasetOf(contract({ id: ID }), 'ndjson');
      await migrated(withChild);
      await client.query("INSERT INTO thing VALUES (1); INSERT INTO thing_line VALUES (1, 1, 'x')");
      await client.query(
        'ALTER TABLE thing_line DROP CONSTRAINT thing_line_thing_id_fkey; DELETE FROM thing',
      );
      const { problems } = await migrated(without);
      expect(problems).toMatchObject([
        { code: 'DRAFT_CHANGED', message: expect.stringContaining('thing_line') },
      ]);
      await client.query('DELETE FROM thing_line');
      expect((await migrated(without)).problems).toEqual([]);
      expect(await oidOf('thing_line')).toBeNull();
    });

    it('never replace tables that Sluice did not make', async () => {
      await client.query('CREATE TABLE thing (id bigint)');
      const { problems } = await migrated(datasetOf(contract({ id: ID })));
      expect(problems).toMatchObject([
        { code: 'TARGET_EXISTS', message: expect.stringContaining('sluice dataset migration things') },
      ]);
    });

    it('stay as they are while a job could write to them', async () => {
      const dataset = datasetOf(contract({ id: ID }));
      await migrated(dataset);
      await client.query('INSERT INTO thing VALUES (1)');
      const database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
      const id = await queueJob(new JobRepository(database), 'things');
      await database.destroy();
      await expect(recreateTables(server.url, entry(dataset))).rejects.toMatchObject({
        code: 'JOB_ACTIVE',
        message: expect.stringContaining(id),
      });
      expect((await client.query('SELECT * FROM thing')).rows).toHaveLength(1);
    });

    it('and what depends on them stay where PostgreSQL would drop a view with them', async () => {
      const dataset = datasetOf(contract({ id: ID }));
      await migrated(dataset);
      await client.query('CREATE VIEW shown AS SELECT * FROM thing');
      await expect(recreateTables(server.url, entry(dataset))).rejects.toMatchObject({
        code: 'MIGRATION_REFUSED',
      });
      await client.query('DROP VIEW shown');
    });

    it('become those of a first migration that is the same SQL (DR3), and of no other', async () => {
      const dataset = datasetOf(contract({ id: ID, name: {} }));
      await migrated(dataset);
      await client.query('INSERT INTO thing VALUES (1)');
      mkdirSync(join(home, 'migrations'));
      writeFileSync(join(home, 'migrations/001-tables.sql'), `${firstMigration(entry(dataset))}-- changed\n`);
      expect((await migrated(dataset)).problems).toMatchObject([{ code: 'TARGET_EXISTS' }]);
    });

    it('become those of its first migration', async () => {
      const dataset = datasetOf(contract({ id: ID, name: {} }));
      await migrated(dataset);
      await client.query('INSERT INTO thing VALUES (1)');
      mkdirSync(join(home, 'migrations'));
      writeFileSync(join(home, 'migrations/001-tables.sql'), firstMigration(entry(dataset)));
      expect(await migrated(dataset)).toEqual({
        applied: ['things/001-tables.sql (made by the draft)'],
        problems: [],
      });
      expect((await client.query('SELECT * FROM thing')).rows).toHaveLength(1);
      expect(await migrated(dataset)).toEqual({ applied: [], problems: [] });
    });
  });

  describe('by the next migration', () => {
    /** Makes the tables of one contract, fills them, and takes them to another. */
    async function changed(before: Dataset, after: Dataset, fill: string): Promise<string> {
      await migrated(before);
      await client.query(fill);
      mkdirSync(join(home, 'migrations'));
      writeFileSync(join(home, 'migrations/001-tables.sql'), firstMigration(entry(before)));
      expect((await migrated(before)).problems).toEqual([]);
      const sql = await proposeChange(server.url, entry(after));
      writeFileSync(join(home, 'migrations/002-contract.sql'), sql);
      expect(await migrated(after)).toEqual({ applied: ['things/002-contract.sql'], problems: [] });
      const left = await proposeChange(server.url, entry(after));
      expect(left.replaceAll(/^--.*\n/gm, '')).toBe('');
      return sql;
    }

    it('get a new column, another type, NULLs, a child table and a key, with their rows', async () => {
      const before = datasetOf(
        contract({ id: ID, name: { required: true }, price: { kind: int32() } }),
        'ndjson',
      );
      const child = childContract({ sku: { required: true } });
      const after = datasetOf(
        contract({ id: ID, name: {}, price: { kind: numeric() }, more: { required: true } }, ['id'], child),
        'ndjson',
      );
      const sql = await changed(before, after, "INSERT INTO thing VALUES (1, 'a', 5)");
      expect(sql).toContain('ALTER TABLE public.thing ADD COLUMN more text;');
      expect(sql).toContain('ALTER TABLE public.thing ALTER COLUMN price TYPE numeric');
      expect(sql).toContain('ALTER TABLE public.thing ALTER COLUMN name DROP NOT NULL;');
      expect(sql).toContain(
        '-- Once every row has a value: ALTER TABLE public.thing ALTER COLUMN more SET NOT NULL;',
      );
      expect(sql).toContain('CREATE TABLE public.thing_line (');
      expect((await client.query('SELECT * FROM thing')).rows).toEqual([
        { id: '1', name: 'a', price: '5', more: null },
      ]);
    });

    it('get a unique index for another key, and keep a column that the contract has lost', async () => {
      const before = datasetOf(contract({ id: ID, code: { required: true }, old: { required: true } }));
      const after = datasetOf(contract({ id: ID, code: { required: true } }, ['code']));
      const sql = await changed(before, after, "INSERT INTO thing VALUES (1, 'a', 'b')");
      expect(sql).toContain('CREATE UNIQUE INDEX ON public.thing (code);');
      expect(sql).toContain('ALTER TABLE public.thing ALTER COLUMN old DROP NOT NULL;');
      await client.query("INSERT INTO thing (id, code) VALUES (2, 'c')");
    });

    it('nothing is proposed where they fit, or while migrations have not run', async () => {
      const dataset = datasetOf(contract({ id: ID, name: { kind: varchar(5) } }));
      await migrated(dataset);
      expect(await proposeChange(server.url, entry(dataset))).toBe('');
      mkdirSync(join(home, 'migrations'));
      writeFileSync(join(home, 'migrations/001-tables.sql'), 'SELECT 1;');
      await expect(proposeChange(server.url, entry(dataset))).rejects.toMatchObject({
        code: 'SCHEMA_OUTDATED',
      });
    });

    it('what PostgreSQL refuses is MIGRATION_REFUSED, with the SQL, and changes nothing', async () => {
      const before = datasetOf(contract({ id: ID, name: {} }));
      await migrated(before);
      await client.query("INSERT INTO thing VALUES (1, 'no number')");
      const after = datasetOf(contract({ id: ID, name: { kind: int32() } }));
      await expect(proposeChange(server.url, entry(after))).rejects.toMatchObject({
        code: 'MIGRATION_REFUSED',
        message: expect.stringContaining('ALTER TABLE public.thing ALTER COLUMN name TYPE integer'),
      });
      expect(await problemsOf(before)).toEqual([]);
    });
  });

  it('every way in which they do not fit is found', async () => {
    const dataset = datasetOf(contract({ id: ID, name: { kind: varchar(20) }, more: {} }));
    expect(await problemsOf(dataset)).toEqual(['there is no table public.thing']);
    await client.query('CREATE TABLE thing (id bigint, name varchar(10) NOT NULL, strange int NOT NULL)');
    expect(await problemsOf(dataset)).toEqual([
      'public.thing.name takes no NULL, and the contract may store it',
      'public.thing.name takes 10 characters, and the contract accepts 20',
      'public.thing has no column more',
      'public.thing.strange takes no NULL, and the contract does not fill it',
      'public.thing has no primary key or unique index on id',
    ]);
  });
});
