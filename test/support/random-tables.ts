import type pg from 'pg';
import type { WriteMode } from '#core/dataset/dataset.js';
import type { SeededRandom } from '#core/dataset/generate.js';
import type { FinalizedDataset } from '../../apps/loader/src/finalize/finalizing-job.js';
import { SHOPS } from './finalizing.js';
import type { MergeDelete, MergeRecord } from './merge-oracle.js';
import { type Deletes, SHOP_PLAN, type Shop } from './staged-job.js';

/** What random tables need to be there. */
export const RANDOM_TABLES_NEED = `
  CREATE COLLATION public.lenient (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`;

/** A random main table with a child table, and what a dataset makes of them. */
export interface RandomTables {
  readonly ddl: string;
  /** What of a name a second unique index keeps once; null: there is none. */
  readonly once: ((name: string) => string) | null;
  readonly versioned: boolean;
  /** Columns of the key, in the contract's order: one to three. */
  readonly key: readonly KeyColumn[];
  /** Whether child rows repeat a column of their parent that is not of its key. */
  readonly copiesCity: boolean;
  /** A key column that may hold null; its table is for `replace` alone. */
  readonly nullable: string | null;
  /** Whether a parent's rows go with it. */
  readonly cascades: boolean;
  /** Whether an index keeps a parent's rows apart. */
  readonly itemsAreUnique: boolean;
  readonly modes: readonly WriteMode[];
  readonly dataset: FinalizedDataset;
}

export interface KeyColumn {
  readonly name: 'number' | 'part' | 'day';
  readonly type: string;
  /** As PostgreSQL prints them. */
  readonly values: readonly string[];
}

const NUMBERS = Array.from({ length: 15 }, (_, at) => String(10_000_000 + at));
const CITIES = ['2020', '2021', '2022'];
const ITEMS = ['a', 'A', 'b', 'c'];

/** Tables with one key column have fifteen different keys; those with more have about as many. */
function randomKey(random: SeededRandom): KeyColumn[] {
  const number = (count: number): KeyColumn => ({
    name: 'number',
    type: random.pick(['varchar(8)', 'text COLLATE "C"', 'char(8)']),
    values: NUMBERS.slice(0, count),
  });
  const part: KeyColumn = random.pick([
    { name: 'part', type: 'int', values: ['-1', '7', '10'] },
    { name: 'part', type: 'text COLLATE "C"', values: ['p', 'P', 'p p'] },
    { name: 'part', type: 'numeric(6,2)', values: ['0.50', '1.00', '10.00'] },
  ]);
  const day: KeyColumn = { name: 'day', type: 'date', values: ['2026-01-31', '2026-02-01'] };
  const columns = random.pick([[number(15)], [number(5), part], [number(3), part, day]]);
  // In any order: the contract's need not be the index's.
  return columns
    .map((column) => [random.next(), column] as const)
    .sort(([a], [b]) => a - b)
    .map(([, column]) => column);
}

const INDEXES: readonly { index: string; fold: ((name: string) => string) | null }[] = [
  { index: '', fold: null },
  { index: '', fold: null },
  { index: 'CREATE UNIQUE INDEX once ON public.shop (name);', fold: (name) => name },
  { index: 'CREATE UNIQUE INDEX once ON public.shop (lower(name));', fold: (name) => name.toLowerCase() },
  {
    index: 'CREATE UNIQUE INDEX once ON public.shop (name COLLATE public.lenient);',
    fold: (name) => name.toLowerCase(),
  },
  {
    index: 'ALTER TABLE public.shop ADD CONSTRAINT once UNIQUE (name) DEFERRABLE INITIALLY DEFERRED;',
    fold: (name) => name,
  },
];

/** Everything about the tables is a function of the numbers that `random` gives. */
export function randomTables(random: SeededRandom): RandomTables {
  const pick = <T>(...values: T[]): T => random.pick(values);
  const key = randomKey(random);
  const names = key.map(({ name }) => name);
  const once = random.pick(INDEXES);
  const lenient = pick(false, true);
  const trigger = pick(false, true);
  const partitioned = once.fold === null && pick(false, false, true);
  const nullable = !partitioned && random.chance(0.1) ? random.pick(names) : null;
  const serial = partitioned
    ? ''
    : pick('', 'id serial UNIQUE,', 'id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,');
  const modes: readonly WriteMode[] =
    partitioned || trigger ? ['append', 'upsert'] : ['append', 'upsert', 'upsert', 'replace'];
  const versioned = pick(true, false);
  const copiesCity = random.chance(0.3);
  const columnsOf = (prefix: string, list: readonly string[]): string =>
    list.map((name) => `${prefix}${name}`).join(', ');
  const typeOf = (name: string): string => key.find((column) => column.name === name)?.type ?? 'text';
  const inIndex = [...names].sort(() => (random.chance(0.5) ? 1 : -1));
  const more = (['part', 'day'] as const).filter((name) => names.includes(name));
  const reference = nullable === null ? pick('', 'RESTRICT', 'CASCADE') : '';
  const each = pick('none', 'unique', 'plain');
  const references = `FOREIGN KEY (${columnsOf('shop_', names)}) REFERENCES public.shop (${columnsOf('', names)})`;
  const [shop, sale] = SHOP_PLAN;
  const links = Object.fromEntries([
    ...names.map((name) => [`shop_${name}`, name] as const),
    ...(copiesCity ? [['shop_city', 'city'] as const] : []),
  ]);
  return {
    // Without a collation of its own the index has the column's.
    once: once.fold !== null && lenient ? (name) => name.toLowerCase() : once.fold,
    versioned,
    key,
    copiesCity,
    nullable,
    cascades: reference === 'CASCADE',
    itemsAreUnique: each === 'unique',
    modes,
    dataset: {
      ...SHOPS,
      tables: [
        {
          ...shop!,
          columns: ['number', 'name', 'city', ...more],
          key: names,
          version: versioned ? 'city' : null,
        },
        { ...sale!, columns: [...Object.keys(links), 'item'], parent: { table: 'shop', columns: links } },
      ],
    },
    ddl: `
      DROP TABLE IF EXISTS public.sale, public.shop CASCADE;
      CREATE TABLE public.shop (
        ${serial}
        number ${names.includes('number') ? typeOf('number') : 'text'},
        name text ${lenient ? 'COLLATE public.lenient' : ''} NOT NULL, city ${pick('text', 'varchar(9)')},
        ${more.map((name) => `${name} ${typeOf(name)},`).join(' ')}
        note text, length int GENERATED ALWAYS AS (length(name COLLATE "C")) STORED
      ) ${partitioned ? `PARTITION BY HASH (${names[0] ?? ''})` : ''};
      ${nullable === null ? `ALTER TABLE public.shop ADD PRIMARY KEY (${inIndex.join(', ')});` : nullableKey(names, nullable, inIndex)}
      ${[0, 1, 2].map((at) => (partitioned ? `CREATE TABLE public.shop_${at} PARTITION OF public.shop FOR VALUES WITH (MODULUS 3, REMAINDER ${at});` : '')).join('')}
      ${once.index}
      CREATE TABLE public.sale (
        id ${pick('bigint GENERATED BY DEFAULT AS IDENTITY', 'serial')},
        ${names.map((name) => `shop_${name} ${typeOf(name)} NOT NULL,`).join(' ')}
        ${copiesCity ? 'shop_city text,' : ''}
        item ${pick('text', 'text COLLATE public.lenient')} ${pick('', 'NOT NULL')}
        ${reference === '' ? '' : `, ${references} ${pick('', 'MATCH FULL')} ${reference === 'CASCADE' ? 'ON DELETE CASCADE' : ''}`}
      );
      ${each === 'unique' ? `CREATE UNIQUE INDEX each ON public.sale (${columnsOf('shop_', names)}, item COLLATE "C");` : ''}
      ${each === 'plain' ? 'CREATE INDEX each ON public.sale (item);' : ''}
      ${trigger ? 'CREATE TRIGGER t AFTER INSERT OR UPDATE ON public.shop FOR EACH ROW EXECUTE FUNCTION public.nothing();' : ''}`,
  };
}

function nullableKey(names: readonly string[], nullable: string, inIndex: readonly string[]): string {
  const others = names.filter((name) => name !== nullable);
  return `
    ${others.map((name) => `ALTER TABLE public.shop ALTER ${name} SET NOT NULL;`).join(' ')}
    CREATE UNIQUE INDEX shop_key ON public.shop (${inIndex.join(', ')});`;
}

/** Values of the key's columns, in the contract's order. */
export function randomKeyValues(random: SeededRandom, { key }: RandomTables): string[] {
  return key.map(({ values }) => random.pick(values));
}

export function randomName(random: SeededRandom): string {
  return `${random.pick(['n', 'N'])}${random.below(12)}`;
}

export function randomCity(random: SeededRandom): string {
  return random.pick(CITIES);
}

export function randomItems(random: SeededRandom): string[] {
  return ITEMS.filter(() => random.chance(0.4));
}

/** One to twelve records; their keys repeat, and meet those of others. */
export function randomRecords(random: SeededRandom, tables: RandomTables): Shop[] {
  const names = tables.key.map(({ name }) => name);
  return Array.from({ length: 1 + random.below(12) }, () => {
    const values = randomKeyValues(random, tables);
    const valueOf = (name: KeyColumn['name']): string => values[names.indexOf(name)] ?? '';
    return {
      number: valueOf('number'),
      name: randomName(random),
      city: randomCity(random),
      items: randomItems(random),
      more: (['part', 'day'] as const).filter((name) => names.includes(name)).map(valueOf),
    };
  });
}

/** A record that deletes a row, whose key others have, too; with a version that may be none. */
export function randomDelete(random: SeededRandom, tables: RandomTables): Deletes {
  const version = random.chance(0.4) ? String.raw`\N` : randomCity(random);
  return { deletes: [...randomKeyValues(random, tables), ...(tables.versioned ? [version] : [])] };
}

/** What the model goes by. */
export function asDelete({ deletes }: Deletes, { key, versioned }: RandomTables): MergeDelete {
  const valueOf = (name: KeyColumn['name']): string[] => {
    const at = key.findIndex((column) => column.name === name);
    return at === -1 ? [] : [deletes[at] ?? ''];
  };
  const version = deletes[key.length];
  return {
    key: (['number', 'part', 'day'] as const).flatMap(valueOf).join('|'),
    version: !versioned ? 0 : version === String.raw`\N` ? null : Number(version),
    deletes: true,
  };
}

/** The key as one text, as {@link presentRecords} has it. */
export function keyOf({ number, more = [] }: Shop): string {
  return [number, ...more].join('|');
}

/** What the model goes by. */
export function asRecord(shop: Shop, tables: Pick<RandomTables, 'versioned' | 'copiesCity'>): MergeRecord {
  const { name, city = '', items = [] } = shop;
  return {
    key: keyOf(shop),
    version: tables.versioned ? Number(city) : 0,
    row: [name, city],
    children: items.map((item) => (tables.copiesCity ? [item, city] : [item])),
  };
}

/** What the tables hold, in the order of the keys. */
export async function presentRecords(
  pool: Pick<pg.Pool, 'query'>,
  tables: RandomTables,
): Promise<MergeRecord[]> {
  const names = tables.key.map(({ name }) => name);
  const more = (['part', 'day'] as const).filter((name) => names.includes(name));
  const link = names.map((name) => `shop_${name} = ${name}`).join(' AND ');
  const child = tables.copiesCity ? 'json_build_array(item, shop_city)' : 'json_build_array(item)';
  const { rows } = await pool.query<{ key: string; name: string; city: string; children: string[][] }>(`
    SELECT concat_ws('|', number${more.map((name) => `, ${name}`).join('')}) AS key, name, city,
           coalesce((SELECT json_agg(${child} ORDER BY item COLLATE "C") FROM public.sale WHERE ${link}), '[]') AS children
    FROM public.shop`);
  return rows
    .map(({ key, name, city, children }) => ({
      key,
      version: tables.versioned ? Number(city) : 0,
      row: [name, city],
      children,
    }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Equal when the records hold the same, in any order of their child rows. */
export function comparable(records: readonly MergeRecord[]): unknown[] {
  return [...records]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ key, row, children }) => [key, row, children.map(String).sort()]);
}
