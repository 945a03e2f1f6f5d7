import pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import type { Dataset } from '../../dataset/dataset.js';
import type { Kind } from '../../dataset/kinds.js';
import { planContract } from '../../record/compile/contract-plan.js';
import { TARGET_SCHEMA } from '../staging-names.js';

/**
 * Values of which each kind of Sluice's own accepts some. What a kind accepts, its column has to take, and without
 * rounding it: a column of another type would refuse every record, or store something else.
 */
const SAMPLES = ['7', '12.5', '0.01', 'true', 'Y', '2026-09-01', '2026-09-01T08:30:00Z', '{"a":1}'];

/** Kinds whose values are of one type. Any text may be whatever its rules make of it, and a dataset's own kind too. */
const KNOWN_KINDS = new Set(['int64', 'numeric', 'flag', 'isoDate', 'timestamptz', 'jsonb']);

interface Trial {
  readonly table: string;
  readonly column: string;
  readonly kind: Kind;
  readonly type: string;
  readonly value: string;
}

/**
 * @param client in the transaction that starts the job
 * @throws SluiceError TARGET_DOES_NOT_FIT naming every column whose type cannot take what the contract stores
 */
export async function checkColumnTypes(
  client: SqlClient,
  dataset: Pick<Dataset, 'name' | 'contract'>,
): Promise<void> {
  const trials = await planTrials(client, dataset);
  if (trials.length === 0 || (await passes(client, trials))) return;
  const problems: string[] = [];
  for (const trial of trials) {
    if (await passes(client, [trial])) continue;
    const { table, column, kind, type, value } = trial;
    problems.push(
      `column ${column} of ${table} is ${type}, and the dataset stores ${kind.name}, e.g. ${value}`,
    );
  }
  if (problems.length === 0) return;
  throw new SluiceError(
    'TARGET_DOES_NOT_FIT',
    `Types do not fit: ${[...new Set(problems)].join('; ')}. Change the column back, or the contract.`,
  );
}

async function planTrials(client: SqlClient, dataset: Pick<Dataset, 'name' | 'contract'>): Promise<Trial[]> {
  const { table, columns, children } = planContract(dataset);
  const filled = [
    ...columns.map((column) => ({ ...column, table })),
    ...children.flatMap((child) => child.columns.map((column) => ({ ...column, table: child.table.name }))),
  ].filter(({ kind }) => KNOWN_KINDS.has(kind.name));
  const { rows } = await client.query<{ table: string; column: string; type: string }>(TYPES, [
    TARGET_SCHEMA,
    filled.map((column) => column.table),
    filled.map(({ target }) => target),
  ]);
  return rows.flatMap(({ table: name, column, type }) => {
    const kind = filled.find((one) => one.table === name && one.target === column)?.kind;
    if (kind === undefined) return [];
    return SAMPLES.filter((value) => kind.accepts(value)).map((value) => ({
      table: name,
      column,
      kind,
      type,
      value: kind.toText?.(value) ?? value,
    }));
  });
}

/** What the server's own types have taken once: only the types of the columns change, and those are asked for each time. */
const TAKEN = new Set<string>();

/** Within a savepoint: a value that is refused must not cost the transaction. */
async function passes(client: SqlClient, trials: readonly Trial[]): Promise<boolean> {
  const casts = trials.map(castOf).filter((cast) => !TAKEN.has(cast));
  if (casts.length === 0) return true;
  await client.query('SAVEPOINT column_types');
  try {
    const { rows } = await client.query<{ fits: boolean }>(`SELECT ${casts.join(' AND ')} AS fits`);
    await client.query('RELEASE SAVEPOINT column_types');
    if (rows[0]?.fits !== true) return false;
    for (const cast of casts) TAKEN.add(cast);
    return true;
  } catch (error) {
    if (!REFUSALS.has(sqlstateOf(error)?.slice(0, 2) ?? '')) throw error;
    await client.query('ROLLBACK TO SAVEPOINT column_types; RELEASE SAVEPOINT column_types');
    return false;
  }
}

function castOf({ kind, type, value }: Trial): string {
  const cast = `${pg.escapeLiteral(value)}::text::${type}`;
  // A number that comes back as another one was rounded.
  return kind.name === 'numeric' && NUMERIC_TYPE.test(type)
    ? `(${cast})::numeric = ${value}`
    : `(${cast}) IS NOT NULL`;
}

const NUMERIC_TYPE = /^(numeric|decimal|real|double precision)/;

/** Data exceptions, constraints of a domain, and "cannot cast type text to …". */
const REFUSALS = new Set(['22', '23', '42']);

/**
 * Only PostgreSQL's own types: what a domain or a type of the user's takes is its business. A column that is not there
 * was missed before.
 */
const TYPES = `
  SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
  FROM unnest($2::text[], $3::text[]) AS wanted ("table", "column")
  JOIN pg_namespace n ON n.nspname = $1
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted."table"
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = wanted."column" AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  WHERE t.typnamespace = 'pg_catalog'::regnamespace`;
