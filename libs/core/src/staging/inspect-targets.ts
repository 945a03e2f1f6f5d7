import { SluiceError } from '#common/errors/sluice-error.js';
import { columnSettings, grantStatements, keptStatements } from './kept-statements.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Targets } from './table-plan.js';
import type {
  ForeignKeyFacts,
  IndexFacts,
  MergeFacts,
  SequenceFacts,
  StatisticsFacts,
  TargetFacts,
  ViewFacts,
} from './target-facts.js';

type TableRow = Omit<MergeFacts, 'indexes' | 'foreignKeys'>;
interface ShapeRow {
  oid: number;
  owner: string;
  shape: string[];
}
type OfTable<T> = T & { oid: number };

/**
 * The part of {@link inspectTargets} that staging and a merge go by: three queries instead of fourteen, which are most of
 * what a job of twenty records takes.
 * Call it inside a transaction.
 * @throws SluiceError TARGET_MISSING naming every table that is not there
 */
export async function inspectForMerge(client: SqlClient, { schema, tables }: Targets): Promise<MergeFacts[]> {
  return withEmptySearchPath(client, async () => {
    const found = (await client.query<TableRow>(TABLES, [schema, tables])).rows;
    const missing = tables.filter((table) => !found.some((row) => row.table === table));
    if (missing.length > 0) {
      throw await missingTargets(client, schema, missing);
    }
    const oids = found.map((row) => row.oid);
    const indexes = await groupsOf<IndexFacts>(client, INDEXES, oids);
    const foreignKeys = await groupsOf<ForeignKeyFacts>(client, FOREIGN_KEYS, oids);
    return tables.flatMap((table) =>
      found
        .filter((row) => row.table === table)
        .map((row) => ({ ...row, indexes: indexes(row.oid), foreignKeys: foreignKeys(row.oid) })),
    );
  });
}

/**
 * Reads from the catalogs what the tables are made of, in the order given.
 * The server's own deparsing (pg_get_indexdef and its like) is the source: nothing is parsed here.
 * Call it inside a transaction: names come out qualified because the search path is empty meanwhile.
 * @throws SluiceError TARGET_MISSING naming every table that is not there
 */
export async function inspectTargets(client: SqlClient, targets: Targets): Promise<TargetFacts[]> {
  return withEmptySearchPath(client, async () => {
    const found = await inspectForMerge(client, targets);
    const oids = found.map((row) => row.oid);
    const shapes = (await client.query<ShapeRow>(SHAPES, [oids])).rows;
    const parts = {
      statistics: await groupsOf<StatisticsFacts>(client, STATISTICS, oids),
      sequences: await groupsOf<SequenceFacts>(client, SEQUENCES, oids),
      views: await groupsOf<ViewFacts>(client, VIEWS, oids),
      columnSettings: await columnSettings(client, oids),
      kept: await keptStatements(client, oids),
      grants: await grantStatements(client, oids),
    };
    return found.map((row) => {
      const shape = shapes.find(({ oid }) => oid === row.oid);
      return {
        ...row,
        owner: shape?.owner ?? '',
        shape: shape?.shape ?? [],
        statistics: parts.statistics(row.oid),
        sequences: parts.sequences(row.oid),
        views: parts.views(row.oid),
        columnSettings: parts.columnSettings(row.oid),
        kept: parts.kept(row.oid),
        grants: parts.grants(row.oid),
      };
    });
  });
}

/** A schema that is not there says more than its tables. */
async function missingTargets(
  client: SqlClient,
  schema: string,
  tables: readonly string[],
): Promise<SluiceError> {
  const { rows } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
  const names = tables.map((name) => `${schema}.${name}`).join(', ');
  return new SluiceError(
    'TARGET_MISSING',
    rows.length > 0
      ? `There is no table ${names}.`
      : `There is no schema ${schema}, and so no table ${names}: the dataset's migrations make both (sluice migrate).`,
  );
}

/** With an empty path the server qualifies every name it prints, and resolves none by accident. */
export async function withEmptySearchPath<T>(client: SqlClient, work: () => Promise<T>): Promise<T> {
  const { rows } = await client.query<{ path: string }>(`SELECT current_setting('search_path') AS path`);
  const path = rows[0]?.path ?? '';
  // A step of the finalizer has an empty one already.
  if (isEmpty(path)) return work();
  await client.query(`SELECT set_config('search_path', '', true)`);
  const result = await work();
  await client.query(`SELECT set_config('search_path', $1, true)`, [path]);
  return result;
}

/** `SET search_path = ''` shows as `""`. */
function isEmpty(path: string): boolean {
  return path === '' || path === '""';
}

async function groupsOf<T extends object>(
  client: SqlClient,
  sql: string,
  oids: number[],
): Promise<(oid: number) => T[]> {
  const { rows } = await client.query<OfTable<T>>(sql, [oids]);
  return (wanted) =>
    rows.filter((row) => row.oid === wanted).map(({ oid: _, ...facts }) => facts as unknown as T);
}

const TABLES = `
  SELECT c.oid, n.nspname AS schema, c.relname AS table, format('%I.%I', n.nspname, c.relname) AS name, ts.spcname AS tablespace,
         coalesce(c.reloptions, '{}')
           || ARRAY(SELECT 'toast.' || option FROM unnest(toast.reloptions) AS option) AS options,
         own.columns, own.nullable, own.generated, own.serial,
         ARRAY(SELECT r.rulename::text FROM pg_rewrite r
               WHERE r.ev_class = c.oid AND c.relkind IN ('r', 'p') AND r.ev_type IN ('2', '3') ORDER BY r.rulename) AS rules
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
  LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
  CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') AS columns,
           coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE NOT a.attnotnull), '{}') AS nullable,
           coalesce(array_agg(a.attname::text ORDER BY a.attnum)
             FILTER (WHERE a.attidentity = 'a' OR a.attgenerated <> ''), '{}') AS generated,
           -- A default that depends on a sequence draws from it.
           coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE EXISTS (
             SELECT FROM pg_attrdef d JOIN pg_depend dep ON dep.classid = 'pg_attrdef'::regclass AND dep.objid = d.oid
             JOIN pg_class s ON dep.refclassid = 'pg_class'::regclass AND s.oid = dep.refobjid AND s.relkind = 'S'
             WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum)), '{}') AS serial
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS own
  WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')`;

const SHAPES = `
  SELECT c.oid, pg_get_userbyid(c.relowner) AS owner,
         ARRAY(
           SELECT format('%I %s%s%s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                         CASE WHEN a.attcollation <> ty.typcollation THEN ' COLLATE ' || a.attcollation::regcollation::text END,
                         CASE WHEN a.attnotnull THEN ' NOT NULL' END,
                         CASE WHEN d.oid IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,
                         CASE WHEN a.attidentity <> '' THEN ' IDENTITY ' || a.attidentity::text END,
                         CASE WHEN a.attgenerated <> '' THEN ' GENERATED ' || a.attgenerated::text END)
           FROM pg_attribute a
           JOIN pg_type ty ON ty.oid = a.atttypid
           LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
         ) || ARRAY(
           SELECT format('CONSTRAINT %I %s', con.conname, regexp_replace(pg_get_constraintdef(con.oid), ' NOT VALID$', ''))
           FROM pg_constraint con WHERE con.conrelid = c.oid AND con.contype = 'c' ORDER BY con.conname
         ) AS shape
  FROM pg_class c WHERE c.oid = ANY($1)`;

// pg_get_indexdef leaves out the tablespace; what stands before USING is known, so it is cut off by length.
const INDEXES = `
  SELECT i.indrelid AS oid, ic.relname AS name, i.indisunique AS unique,
         substr(pg_get_indexdef(i.indexrelid), length(format('CREATE %sINDEX %I ON %s%I.%I USING ',
           CASE WHEN i.indisunique THEN 'UNIQUE ' END, ic.relname, CASE WHEN c.relkind = 'p' THEN 'ONLY ' END, n.nspname, c.relname)) + 1) AS body,
         ts.spcname AS tablespace,
         ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnkeyatts) AS k) AS keys,
         ARRAY(SELECT concat('(', pg_get_indexdef(i.indexrelid, k, false), ')',
                             CASE WHEN i.indcollation[k - 1] <> 0 AND i.indcollation[k - 1] IS DISTINCT FROM
                                       (SELECT a.attcollation FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1])
                                  THEN ' COLLATE ' || i.indcollation[k - 1]::regcollation END)
               FROM generate_series(1, i.indnkeyatts) AS k) AS terms,
         parts.columns, parts.otherwise, parts.lenient,
         ARRAY(SELECT a.attname::text FROM pg_attribute a
               WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND (a.attnum = ANY(i.indkey) OR EXISTS (
                 SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))) AS uses,
         i.indisvalid AS valid, i.indimmediate AS immediate,
         pg_get_expr(i.indpred, i.indrelid) AS predicate,
         NOT i.indnullsnotdistinct AS "nullsDistinct",
         CASE WHEN con.oid IS NOT NULL THEN json_build_object(
           'kind', CASE con.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END,
           'deferral', concat(CASE WHEN con.condeferrable THEN ' DEFERRABLE' END,
                              CASE WHEN con.condeferred THEN ' INITIALLY DEFERRED' END)) END AS constraint
  FROM pg_index i
  JOIN pg_class ic ON ic.oid = i.indexrelid
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_tablespace ts ON ts.oid = ic.reltablespace
  LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.contype IN ('p', 'u')
  CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(a.attname::text ORDER BY k), '{}') AS columns,
           coalesce(array_agg(a.attname::text ORDER BY k) FILTER (
             WHERE i.indcollation[k] <> a.attcollation OR NOT oc.opcdefault), '{}') AS otherwise,
           -- Equal is the same bytes where the operator class says so (support function 4 of a B-tree), and numbers and
           -- times that are equal are the same whatever they look like.
           coalesce(array_agg(a.attname::text ORDER BY k) FILTER (
             WHERE NOT coalesce(co.collisdeterministic, true) OR ty.typcategory NOT IN ('N', 'D', 'T', 'B', 'E') AND NOT EXISTS (
               SELECT FROM pg_amproc ap WHERE ap.amprocfamily = oc.opcfamily AND ap.amprocnum = 4
                 AND ap.amproclefttype = oc.opcintype AND ap.amprocrighttype = oc.opcintype)), '{}') AS lenient
    FROM generate_series(0, i.indnkeyatts - 1) AS k
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k]
    JOIN pg_type ty ON ty.oid = a.atttypid
    JOIN pg_opclass oc ON oc.oid = i.indclass[k]
    LEFT JOIN pg_collation co ON co.oid = a.attcollation) AS parts
  WHERE i.indrelid = ANY($1) ORDER BY i.indisprimary DESC, i.indisunique DESC, ic.relname`;

const FOREIGN_KEYS = `
  SELECT con.conrelid AS oid, con.conname AS name, con.convalidated AS validated, con.confmatchtype = 'f' AS "matchFull",
         con.confrelid AS "referencedOid", format('%I.%I', n.nspname, r.relname) AS referenced,
         own.columns, theirs.columns AS "referencedColumns",
         -- NOT VALID is said when the constraint is added, whatever the target's state.
         regexp_replace(substr(pg_get_constraintdef(con.oid), length(format('FOREIGN KEY (%s) REFERENCES %I.%I(%s)',
           own.list, n.nspname, r.relname, theirs.list)) + 1), ' NOT VALID$', '') AS behind
  FROM pg_constraint con
  JOIN pg_class r ON r.oid = con.confrelid
  JOIN pg_namespace n ON n.oid = r.relnamespace
  CROSS JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY k) AS columns, string_agg(quote_ident(a.attname), ', ' ORDER BY k) AS list
    FROM generate_series(1, cardinality(con.conkey)) AS k
    JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = con.conkey[k]) AS own
  CROSS JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY k) AS columns, string_agg(quote_ident(a.attname), ', ' ORDER BY k) AS list
    FROM generate_series(1, cardinality(con.confkey)) AS k
    JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = con.confkey[k]) AS theirs
  WHERE con.contype = 'f' AND con.conrelid = ANY($1)
    -- A key to a partitioned table has a twin for each of its partitions, which no row has to satisfy.
    AND NOT EXISTS (SELECT FROM pg_constraint whole WHERE whole.oid = con.conparentid AND whole.conrelid = con.conrelid)
  ORDER BY con.conname`;

const STATISTICS = `
  SELECT s.stxrelid AS oid, s.stxname AS name,
         substr(def, length(head) + 1, length(def) - length(head) - length(tail)) AS body
  FROM pg_statistic_ext s
  JOIN pg_namespace n ON n.oid = s.stxnamespace
  JOIN pg_class c ON c.oid = s.stxrelid
  JOIN pg_namespace cn ON cn.oid = c.relnamespace
  CROSS JOIN LATERAL (
    SELECT pg_get_statisticsobjdef(s.oid) AS def, format('CREATE STATISTICS %I.%I ', n.nspname, s.stxname) AS head,
           format(' FROM %I.%I', cn.nspname, c.relname) AS tail) AS text
  WHERE s.stxrelid = ANY($1) ORDER BY s.stxname`;

const SEQUENCES = `
  SELECT d.refobjid AS oid, s.relname AS name, a.attname AS column, d.deptype = 'i' AS identity
  FROM pg_depend d
  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY($1)
    AND d.deptype IN ('i', 'a') ORDER BY s.relname`;

// CREATE OR REPLACE VIEW resets the options, so they are stated again.
const VIEWS = `
  SELECT DISTINCT d.refobjid AS oid, format('%I.%I', n.nspname, v.relname) AS name, pg_get_userbyid(v.relowner) AS owner,
         format('CREATE OR REPLACE VIEW %I.%I%s AS %s', n.nspname, v.relname,
           CASE WHEN v.reloptions IS NOT NULL THEN ' WITH (' || array_to_string(v.reloptions, ', ') || ')' END,
           pg_get_viewdef(v.oid)) AS definition
  FROM pg_depend d
  JOIN pg_rewrite r ON r.oid = d.objid
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
  JOIN pg_namespace n ON n.oid = v.relnamespace
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY($1)
  ORDER BY name`;
