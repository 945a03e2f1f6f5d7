import pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import type { Dataset } from '../../dataset/dataset.js';
import type { Kind } from '../../dataset/kinds.js';
import { planContract } from '../../record/compile/contract-plan.js';
import { filledColumns } from './stored-samples.js';

interface Trial {
  readonly table: string;
  readonly column: string;
  readonly kind: Kind;
  /** Of the column, as `format_type` writes it. */
  readonly type: string;
  /** As PostgreSQL reads it. */
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
  const plan = planContract(dataset);
  const filled = filledColumns(plan).filter(({ samples }) => samples.length > 0);
  const { rows } = await prepared(client).query<{ table: string; column: string; type: string }>(TYPES, [
    plan.schema,
    filled.map(({ table }) => table),
    filled.map(({ target }) => target),
  ]);
  return rows.flatMap(({ table, column, type }) => {
    const found = filled.find((one) => one.table === table && one.target === column);
    if (found === undefined) return [];
    return found.samples.map((value) => ({ table, column, kind: found.kind, type, value }));
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

/**
 * SQL that is true where the column stores the value whole. A number that comes back as another one was rounded; a day and
 * time as another one lost its time of day; a text that comes back shorter was cut.
 */
function castOf({ kind: { columnType }, type, value }: Trial): string {
  const text = `${pg.escapeLiteral(value)}::text`;
  const cast = `${text}::${type}`;
  if (WORDS.test(columnType)) return `(${cast}) IS NOT NULL`;
  if (WORDS.test(type)) {
    const whole = type.endsWith('[]') ? 'text[]' : 'text';
    return `(${cast})::${whole} = ${text}::${whole}`;
  }
  const isComparable =
    (NUMBERS.test(columnType) && NUMBERS.test(type)) ||
    // The offset of a moment is lost in a column without one, as in the files of many sources: no other value.
    (TIMES.test(columnType) && TIMES.test(type) && !(columnType === 'timestamptz' && /without/.test(type)));
  return isComparable ? `(${cast})::text::${columnType} = ${text}::${columnType}` : `(${cast}) IS NOT NULL`;
}

/** As contracts and as `format_type` write them. */
const WORDS = /^(text|varchar|character|bpchar)\b[^[]*(\[\])?$/;
const NUMBERS = /^(smallint|integer|bigint|numeric|real|double precision)\b/;
const TIMES = /^(date|time|timestamp|timestamptz)\b/;

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
