/**
 * The tables of a contract as SQL, for datasets that bring no migrations of their own. PURE.
 *
 * - DT1: whatever the contract accepts fits the tables: types come from the kinds, and a column is NOT NULL only where
 *   the contract never stores NULL.
 * - DT2: the same contract gives the same text, so that a changed contract is seen by it.
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import { type ColumnPlan, type ContractPlan, planContract } from '../record/compile/contract-plan.js';
import { isOfRecord } from '../dataset/columns.js';
import type { Dataset } from '../dataset/dataset.js';
import type { ColumnFacts, TableFacts } from './table-facts.js';

/** Identifiers that need no quotes: no capitals, and none of PostgreSQL's reserved words. */
const PLAIN_NAME = /^[a-z_][a-z0-9_]*$/;
const RESERVED = new Set(
  (
    'all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create ' +
    'current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc distinct ' +
    'do else end except false fetch for foreign from grant group having in initially intersect into lateral leading limit ' +
    'localtime localtimestamp not null offset on only or order placing primary references returning select session_user ' +
    'some symmetric system_user table then to trailing true union unique user using variadic when where window with'
  ).split(' '),
);

/** As a name stands in SQL. */
export function sqlName(name: string): string {
  return PLAIN_NAME.test(name) && !RESERVED.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/**
 * The tables that the contract of a dataset needs, parents before children.
 * @throws SluiceError DATASET_INVALID
 */
export function tableFacts(dataset: Pick<Dataset, 'name' | 'contract'>): readonly TableFacts[] {
  const plan = planContract(dataset);
  const facts = [factsOfMain(plan)];
  for (const at of plan.children.keys()) facts.push(factsOfChild(plan, at, facts));
  return facts;
}

/** `CREATE TABLE` of all of them, with keys and indexes. @throws SluiceError DATASET_INVALID */
export function createTablesSql(dataset: Pick<Dataset, 'name' | 'contract'>): string {
  const tables = tableFacts(dataset);
  const schemas = [...new Set(tables.map(({ schema }) => schema))].filter((schema) => schema !== 'public');
  return [
    ...schemas.map((schema) => `CREATE SCHEMA IF NOT EXISTS ${sqlName(schema)};\n`),
    ...tables.map(createTableSql),
  ].join('\n');
}

/** Children before parents. */
export function dropTablesSql(dataset: Pick<Dataset, 'name' | 'contract'>): string {
  return [...tableFacts(dataset)]
    .reverse()
    .map((table) => `DROP TABLE IF EXISTS ${qualified(table)};\n`)
    .join('');
}

export function qualified({ schema, table }: Pick<TableFacts, 'schema' | 'table'>): string {
  return `${sqlName(schema)}.${sqlName(table)}`;
}

/** `name type NOT NULL`, as in CREATE TABLE. */
export function columnSql({ name, type, notNull, check }: ColumnFacts): string {
  return [sqlName(name), type, notNull ? 'NOT NULL' : null, check === null ? null : `CHECK (${check})`]
    .filter((part) => part !== null)
    .join(' ');
}

/** `CREATE TABLE` of one of them, with its key and indexes. */
export function createTableSql(facts: TableFacts): string {
  const { columns, key, parent, indexes } = facts;
  const lines = columns.map(columnSql);
  if (key.length > 0) lines.push(`PRIMARY KEY (${key.map(sqlName).join(', ')})`);
  if (parent?.isKey === true) {
    lines.push(
      `FOREIGN KEY (${parent.columns.map(([own]) => sqlName(own)).join(', ')}) REFERENCES ${parent.name} ` +
        `(${parent.columns.map(([, theirs]) => sqlName(theirs)).join(', ')}) ON DELETE CASCADE`,
    );
  }
  const indexSql = indexes.map(
    (index) => `CREATE INDEX ON ${qualified(facts)} (${index.map(sqlName).join(', ')});\n`,
  );
  return `CREATE TABLE ${qualified(facts)} (\n${lines.map((line) => `  ${line}`).join(',\n')}\n);\n${indexSql.join('')}`;
}

function factsOfMain(plan: ContractPlan): TableFacts {
  const [table] = plan.tables;
  if (table === undefined) throw new SluiceError('INTERNAL', 'A contract without tables.');
  const key = table.key;
  return {
    schema: table.schema,
    table: table.table,
    columns: plan.columns.map((column) => columnFacts(column, key)),
    key,
    parent: null,
    indexes: [],
  };
}

/** `plan.children[n]` fills `plan.tables[n + 1]`, and each stands behind its parent. */
function factsOfChild(plan: ContractPlan, at: number, facts: readonly TableFacts[]): TableFacts {
  const child = plan.children[at];
  const table = plan.tables[at + 1];
  const parent = facts[(child?.parent ?? -1) + 1];
  if (child === undefined || table === undefined || table.parent === null || parent === undefined)
    throw new SluiceError('INTERNAL', 'A child table without its parent.');
  const links = Object.entries(table.parent.columns);
  const isKey =
    parent.key.length > 0 && parent.key.every((name) => links.some(([, theirs]) => theirs === name));
  const place =
    child.columns.find(({ origin }) => origin.from === 'slot') ??
    child.columns.find(({ property }) => property === child.table.distinctBy);
  const linked = links.map(([own]) => own);
  const key = isKey && place !== undefined ? [...linked, place.target] : [];
  const columns = child.columns.map((column) => columnFacts(column, key));
  return {
    schema: table.schema,
    table: table.table,
    columns: columns.map((column) => typedByParent(column, links, parent)),
    key,
    parent: {
      name: qualified(parent),
      columns: isKey ? links.filter(([, theirs]) => parent.key.includes(theirs)) : links,
      isKey,
    },
    indexes: key.length === 0 ? [linked] : [],
  };
}

function columnFacts(column: ColumnPlan, key: readonly string[]): ColumnFacts {
  const { target, kind, origin } = column;
  return {
    name: target,
    type: origin.from === 'slot' ? 'integer' : kind.columnType,
    notNull: key.includes(target) || origin.from === 'slot' || neverNull(column),
    check: kind.check?.(sqlName(target)) ?? null,
  };
}

/** A column that repeats one of the parent's is of its type. */
function typedByParent(
  column: ColumnFacts,
  links: readonly [string, string][],
  parent: TableFacts,
): ColumnFacts {
  const theirs = links.find(([own]) => own === column.name)?.[1];
  const original = parent.columns.find(({ name }) => name === theirs);
  if (original === undefined) return column;
  return { ...column, type: original.type, notNull: column.notNull || original.notNull };
}

/** DT1: null is refused or replaced, and no warning stores NULL. */
function neverNull({ origin, checks, ifNull, optional }: ColumnPlan): boolean {
  if (origin.from === 'provenance') return true;
  if (origin.from === 'constant') return origin.value !== null;
  if (!isOfRecord(origin)) return false;
  if (checks.some(({ severity, otherwise }) => severity !== 'error' && otherwise === null)) return false;
  if (ifNull !== null) return true;
  return !optional && checks.some(({ judges, severity }) => judges === 'null' && severity === 'error');
}
