import pg from 'pg';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { withEmptySearchPath } from './inspect-targets.js';
import type { Targets } from './table-plan.js';
import { STAGING_SCHEMA, quotedStagingTable } from './staging-names.js';

/**
 * Sequences of `serial` columns, as far as they are for one column alone.
 *
 * With `replace`, ids belong to the snapshot. While it is loaded they are counted in a sequence of the staging table's
 * own, which is made like the target's and goes with the table; the swap puts the default back to the target's sequence
 * and sets it behind the snapshot's ids (swap-sequences.ts of the loader).
 *
 * Own is a sequence that is OWNED BY the column (so its owner is the table's), whose `nextval` is all of the column's
 * default, and that nothing else in the database draws from: no other column, view or function that PostgreSQL knows to
 * depend on it. Numbers of any other sequence may be in use elsewhere, so it is never set back: loads draw from it.
 */
export interface OwnSequence {
  /** Unqualified name of the table. */
  readonly table: string;
  readonly column: string;
  /** Of the sequence: qualified and quoted. */
  readonly name: string;
  /** What CREATE SEQUENCE makes one like it with. */
  readonly options: string;
}

/** Of the target tables. Call it inside a transaction. */
export async function ownSequences(client: SqlClient, { schema, tables }: Targets): Promise<OwnSequence[]> {
  return withEmptySearchPath(
    client,
    async () => (await client.query<OwnSequence>(OWN_SEQUENCES, [schema, tables, STAGING_SCHEMA])).rows,
  );
}

/**
 * Makes a column of a staging table count in a sequence of its own, from the start value.
 * A name with a dot is none that PostgreSQL makes up for indexes, constraints and identity sequences.
 */
export async function countInStaging(
  client: SqlClient,
  { table, column, options }: OwnSequence,
  jobId: string,
): Promise<void> {
  const staging = quotedStagingTable(table, jobId);
  const place = pg.escapeIdentifier(column);
  const sequence = quotedStagingTable(`${table}.${column}`, jobId);
  await client.query(`
    CREATE SEQUENCE ${sequence} ${options} OWNED BY ${staging}.${place};
    ALTER TABLE ${staging} ALTER ${place} SET DEFAULT nextval(${pg.escapeLiteral(sequence)})`);
}

/** $3: staging tables of jobs may have a target's default for a column that the contract fills; they draw nothing. */
const OWN_SEQUENCES = `
  SELECT c.relname AS table, a.attname AS column, s.oid::regclass::text AS name,
         format('AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', q.seqtypid::regtype, q.seqincrement,
           q.seqmin, q.seqmax, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) AS options
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_depend own ON own.classid = 'pg_class'::regclass AND own.refclassid = 'pg_class'::regclass
    AND own.refobjid = c.oid AND own.deptype = 'a'
  JOIN pg_class s ON s.oid = own.objid AND s.relkind = 'S'
  JOIN pg_sequence q ON q.seqrelid = s.oid
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = own.refobjsubid
  JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE n.nspname = $1 AND c.relname = ANY($2)
    AND pg_get_expr(d.adbin, d.adrelid) = format('nextval(%L::regclass)', s.oid::regclass)
    AND NOT EXISTS (
      SELECT FROM pg_depend other
      LEFT JOIN pg_attrdef od ON other.classid = 'pg_attrdef'::regclass AND od.oid = other.objid
      LEFT JOIN pg_class oc ON oc.oid = od.adrelid
      LEFT JOIN pg_namespace oname ON oname.oid = oc.relnamespace
      WHERE other.refclassid = 'pg_class'::regclass AND other.refobjid = s.oid AND other.deptype <> 'i'
        AND od.oid IS DISTINCT FROM d.oid AND oname.nspname IS DISTINCT FROM $3)
  ORDER BY c.relname, a.attnum`;
