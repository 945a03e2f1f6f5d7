import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { alterTablesSql } from './alter-sql.js';
import type { FoundColumn, FoundTable, TableFacts } from './table-facts.js';

const NAMES = [
  'id',
  'name',
  'Name',
  'order',
  'a"b',
  '東',
  'x; DROP TABLE y',
  'line\nDROP TABLE y;',
  'cr\rDROP',
];
const TYPES = ['text', 'bigint', 'numeric(12,2)', 'character varying(20)'];
const name = fc.constantFrom(...NAMES);
const type = fc.constantFrom(...TYPES);
const columnsOf = <T>(facts: fc.Arbitrary<T>): fc.Arbitrary<(T & { name: string })[]> =>
  fc.uniqueArray(
    fc.tuple(name, facts).map(([of, fact]) => ({ ...fact, name: of })),
    {
      selector: (column) => column.name,
      minLength: 1,
    },
  );

const table = fc
  .record({
    wanted: columnsOf(fc.record({ type, notNull: fc.boolean(), check: fc.constantFrom(null, 'true') })),
    found: columnsOf(fc.record({ type, notNull: fc.boolean(), hasDefault: fc.boolean() })),
  })
  .chain(({ wanted, found }) =>
    fc.record({
      wanted: fc.constant(wanted),
      found: fc.constant(found),
      key: fc.subarray(wanted.map((column) => column.name)),
      keys: fc.array(
        fc.shuffledSubarray(
          found.map((column) => column.name),
          { minLength: 1 },
        ),
        { maxLength: 3 },
      ),
    }),
  );
type Tables = typeof table extends fc.Arbitrary<infer T> ? T : never;

const wantedOf = ({ wanted, key }: Tables): TableFacts => ({
  ...{ schema: 'public', table: 'thing', columns: wanted, key },
  ...{ parent: null, indexes: [] },
});
const foundOf = ({ found, keys }: Tables): FoundTable => ({
  ...{ schema: 'public', table: 'thing', columns: found, keys },
});

/** As PostgreSQL separates them: a comment ends with the line, and a name in quotes may hold anything. */
function statementsOf(sql: string): string[] {
  const found: string[] = [];
  let statement = '';
  for (const [token] of sql.matchAll(/--[^\n\r]*|"(?:[^"]|"")*"|[^]/g)) {
    if (token.startsWith('--')) continue;
    statement += token;
    if (token !== ';') continue;
    found.push(statement.trim());
    statement = '';
  }
  expect(statement.trim()).toBe('');
  return found;
}

const NAME = '("(?:[^"]|"")*"|[a-z_]+)';
const nameOf = (sql = ''): string => (sql.startsWith('"') ? sql.slice(1, -1).replaceAll('""', '"') : sql);

/** What PostgreSQL makes of a table by the statements that are allowed here; any other one fails the test. */
function changed(found: FoundTable, sql: string): FoundTable {
  const columns = new Map(found.columns.map((column) => [column.name, column]));
  const keys = [...found.keys];
  for (const statement of statementsOf(sql)) {
    const of = (pattern: string): RegExpExecArray | null =>
      new RegExp(`^ALTER TABLE public\\.thing ${pattern};$`).exec(statement);
    const added = of(`ADD COLUMN ${NAME} ([a-z]+[^"]*?)(?: CHECK \\(true\\))?`);
    const typed = of(`ALTER COLUMN ${NAME} TYPE ([^"]+?) USING ${NAME}::([^"]+)`);
    const freed = of(`ALTER COLUMN ${NAME} DROP NOT NULL`);
    const unique = /^CREATE UNIQUE INDEX ON public\.thing \((.*)\);$/s.exec(statement);
    if (added) {
      expect(columns.has(nameOf(added[1]))).toBe(false);
      columns.set(nameOf(added[1]), {
        name: nameOf(added[1]),
        type: added[2] ?? '',
        notNull: false,
        hasDefault: false,
      });
    } else if (typed) {
      expect([typed[3], typed[4]]).toEqual([typed[1], typed[2]]);
      change(nameOf(typed[1]), { type: typed[2] ?? '' });
    } else if (freed) change(nameOf(freed[1]), { notNull: false });
    else if (unique) keys.push((unique[1]?.match(new RegExp(NAME, 'g')) ?? []).map(nameOf));
    else throw new RangeError(`Not expected: ${statement}`);
  }
  return { ...found, columns: [...columns.values()], keys };

  function change(of: string, facts: Partial<FoundColumn>): void {
    const column = columns.get(of);
    if (column === undefined) throw new RangeError(`There is no column ${of}.`);
    columns.set(of, { ...column, ...facts });
  }
}

describe('alterTablesSql', () => {
  it('makes a table fit its contract and loses nothing, for any two tables', () => {
    fc.assert(
      fc.property(table, (tables) => {
        const [wanted, found] = [wantedOf(tables), foundOf(tables)];
        const after = changed(found, alterTablesSql([wanted], [found]));
        for (const { name: column, type: wantedType, notNull } of wanted.columns) {
          const own = after.columns.find((one) => one.name === column);
          expect(own?.type).toBe(wantedType);
          if (!notNull) expect(own?.notNull).toBe(false);
        }
        for (const before of found.columns) {
          const own = after.columns.find((one) => one.name === before.name);
          const isWanted = wanted.columns.some((one) => one.name === before.name);
          if (!isWanted) expect(own).toEqual({ ...before, notNull: before.notNull && before.hasDefault });
        }
        const sorted = (names: readonly string[]): string => JSON.stringify([...names].sort());
        if (wanted.key.length > 0) expect(after.keys.map(sorted)).toContain(sorted(wanted.key));
        // What is left is said in comments.
        const left = alterTablesSql([wanted], [after]);
        expect(statementsOf(left)).toEqual([]);
        const isAll = wanted.columns.every(
          ({ name: column, notNull }) =>
            !notNull || after.columns.find((one) => one.name === column)?.notNull,
        );
        expect(left === '').toBe(isAll);
      }),
      { numRuns: 1000 },
    );
  });

  it('makes a table that is not there, whatever others are', () => {
    fc.assert(
      fc.property(table, (tables) => {
        const [wanted, found] = [wantedOf(tables), foundOf(tables)];
        const elsewhere = [
          { ...found, schema: 'other' },
          { ...found, table: 'things' },
        ];
        expect(alterTablesSql([wanted], elsewhere)).toMatch(/^CREATE TABLE public\.thing \(\n/);
      }),
    );
  });

  it('adds a column without NOT NULL, and says what to do once every row has a value', () => {
    const tables = {
      wanted: [{ name: 'order', type: 'text', notNull: true, check: null }],
      found: [{ name: 'old', type: 'text', notNull: true, hasDefault: false }],
      ...{ key: ['order'], keys: [] },
    };
    expect(alterTablesSql([wantedOf(tables)], [foundOf(tables)])).toBe(
      'ALTER TABLE public.thing ADD COLUMN "order" text;\n' +
        '-- Once every row has a value: ALTER TABLE public.thing ALTER COLUMN "order" SET NOT NULL;\n' +
        '-- The contract does not fill old any more, and it takes no NULL:\n' +
        'ALTER TABLE public.thing ALTER COLUMN old DROP NOT NULL;\n' +
        'CREATE UNIQUE INDEX ON public.thing ("order");\n',
    );
  });
});
