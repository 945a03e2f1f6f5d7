import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { type RegisteredDataset, loadRegistry } from '#core/registry/registry.js';
import { type TablePlan, compileContract, planTables } from '#core/record/compile-contract.js';
import { type ColumnPlan, planContract } from '#core/record/compile/contract-plan.js';
import { quotedTarget } from '#core/staging/staging-names.js';
import { createCutter } from '#core/record/cutter.js';
import { DEFAULT_CUTTING } from '#core/record/raw-batch.js';
import { resolveOptions } from '#core/dataset/dataset.js';
import { migrate } from '#core/schema/migrate.js';
import { readFixtures } from '#core/conformance/fixtures.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';

/** Whether contracts and tables fit each other, asked of PostgreSQL itself, for every dataset folder. */

const entries = (
  await loadRegistry([fileURLToPath(new URL('../../../test/fixtures/datasets', import.meta.url))])
).entries();

interface ColumnFacts {
  readonly name: string;
  readonly maxCharacters: number | null;
  readonly notNull: boolean;
}

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await startTestDatabase();
  await migrate(database.url, entries);
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, 60_000);

afterAll(async () => {
  await client.end();
  await database.stop();
});

async function columnsOf({ schema, table }: Pick<TablePlan, 'schema' | 'table'>): Promise<ColumnFacts[]> {
  const { rows } = await client.query<ColumnFacts>(
    `SELECT column_name AS name, character_maximum_length AS "maxCharacters", is_nullable = 'NO' AS "notNull"
     FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2`,
    [schema, table],
  );
  return rows;
}

describe.each(entries.map((entry) => ({ name: entry.name, entry })))('$name', ({ entry }) => {
  const { dataset } = entry;
  const plan = planContract(dataset);
  const columnPlans = [plan.columns, ...plan.children.map(({ columns }) => columns)];

  it.each(planTables(dataset))(
    'has table $table with the columns and the key that the contract names',
    async (table) => {
      const { columns, key } = table;
      const names = (await columnsOf(table)).map(({ name }) => name);
      expect(columns.filter((column) => !names.includes(column))).toEqual([]);
      if (key.length === 0) return;
      const { rows } = await client.query<{ key: string[] }>(
        `SELECT array_agg(a.attname::text ORDER BY k.place) AS key
       FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place), pg_attribute a
       WHERE i.indrelid = to_regclass($1) AND i.indisunique AND a.attrelid = i.indrelid AND a.attnum = k.attnum
       GROUP BY i.indexrelid`,
        [quotedTarget(table)],
      );
      expect(rows.map((row) => row.key)).toContainEqual(key);
    },
  );

  it('refuses or replaces whatever is longer than a column, before PostgreSQL does', async () => {
    const unprotected: string[] = [];
    for (const [at, each] of plan.tables.entries()) {
      const { table } = each;
      for (const { name, maxCharacters } of await columnsOf(each)) {
        const column = columnPlans[at]?.find(({ target }) => target === name);
        if (maxCharacters === null || column?.origin.from !== 'source') continue;
        if (!isKeptOut(column, columnPlans[at] ?? [], maxCharacters + 1))
          unprotected.push(`${table}.${name}`);
      }
    }
    expect(unprotected).toEqual([]);
  });

  it('never stores NULL where the table takes none', async () => {
    const unprotected: string[] = [];
    for (const [at, each] of plan.tables.entries()) {
      const { table } = each;
      for (const { name, notNull } of await columnsOf(each)) {
        const column = columnPlans[at]?.find(({ target }) => target === name);
        if (!notNull || column?.origin.from !== 'source') continue;
        const refusesNull = column.checks.some(
          ({ judges, severity }) => judges === 'null' && severity === 'error',
        );
        const storesNull = column.checks.some(
          ({ severity, otherwise }) => severity !== 'error' && otherwise === null,
        );
        const isRowWhen = plan.children[at - 1]?.table.rowWhen === column.property;
        if (storesNull || (column.ifNull === null && !refusesNull && !isRowWhen))
          unprotected.push(`${table}.${name}`);
      }
    }
    expect(unprotected).toEqual([]);
  });

  const hasFixtures = existsSync(join(entry.folder, 'fixtures'));

  if (hasFixtures)
    it('COPYs its fixtures into columns of these types as they are expected to stand there', async () => {
      const { input, clean } = await readFixtures(dataset, entry.folder);
      const sections = judge(entry, input);
      for (const [at, each] of plan.tables.entries()) {
        const { table, columns } = each;
        const list = ['_sluice_record', ...columns].map((column) => pg.escapeIdentifier(column)).join(', ');
        for (const copy of ['copied', 'expected']) {
          await client.query(
            `CREATE TEMP TABLE ${copy}_${table} (LIKE ${quotedTarget(each)} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING IDENTITY)`,
          );
          await client.query(`ALTER TABLE ${copy}_${table} ADD COLUMN _sluice_record bigint`);
        }
        const copying = client.query(copyFrom(`COPY copied_${table} (${list}) FROM STDIN`));
        await pipeline(Readable.from([sections[at] ?? Buffer.alloc(0)]), copying);
        const rows = clean.tables[table] ?? [];
        for (const row of rows) {
          const places = Object.keys(row).map((_, i) => `$${i + 1}`);
          await client.query(
            `INSERT INTO expected_${table} (${list}) VALUES (${places.join(', ')})`,
            Object.values(row),
          );
        }
        const { rows: differences } = await client.query(
          `(SELECT ${list} FROM copied_${table} EXCEPT ALL SELECT ${list} FROM expected_${table})
         UNION ALL (SELECT ${list} FROM expected_${table} EXCEPT ALL SELECT ${list} FROM copied_${table})`,
        );
        expect(differences).toEqual([]);
        const { rows: counts } = await client.query<{ count: string }>(
          `SELECT count(*) FROM copied_${table}`,
        );
        expect(counts).toEqual([{ count: String(rows.length) }]);
      }
    });
});

/** Whether a value of N characters never gets to the column: some check on its field refuses or replaces it. */
function isKeptOut(column: ColumnPlan, all: readonly ColumnPlan[], characters: number): boolean {
  const { origin } = column;
  const sameField = all.filter(
    (other) =>
      other.origin.from === 'source' && origin.from === 'source' && other.origin.source === origin.source,
  );
  return ['x', '1'].every((letter) => {
    const value = letter.repeat(characters);
    return (
      sameField.some(({ checks }) =>
        checks.some((check) => check.severity === 'error' && !check.accepts(value)),
      ) || column.checks.some((check) => check.otherwise !== undefined && !check.accepts(value))
    );
  });
}

/** COPY text of each table. */
function judge({ dataset }: RegisteredDataset, input: Buffer): Buffer[] {
  const prologue = dataset.prologue(input, true);
  if (!prologue) throw new TypeError('The prologue asks for more than there is.');
  const { columns, context, dataStart, firstLine } = prologue;
  const contract = compileContract(dataset, {
    columns,
    context,
    options: resolveOptions(dataset, {}).values,
  });
  const cutter = createCutter(
    { ...DEFAULT_CUTTING, format: dataset.format, csv: dataset.csv, limitRecords: null },
    { batch: 0, record: 0, line: firstLine, byte: dataStart },
  );
  const verdicts = [...cutter.push(input.subarray(dataStart)), ...cutter.end()].map((batch) =>
    contract.judge(batch),
  );
  return contract.tables.map((_, at) =>
    Buffer.concat(verdicts.map(({ sections }) => sections[at]?.text ?? Buffer.alloc(0))),
  );
}
