import { SluiceError } from '#common/errors/sluice-error.js';
import { loaderRole } from './checks/service-role.js';
import type { Targets } from './table-plan.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { withEmptySearchPath } from './inspect-targets.js';

/**
 * What a swap cannot keep. A swap puts a new table in the old one's place: what points at the old
 * table by its OID and cannot be made again, or would be made again with other contents, stands in the way.
 */
interface Problem {
  problem: string;
}

/**
 * Finds what `replace` would lose, before a job begins instead of after hours of loading.
 * @throws SluiceError TARGET_CANNOT_BE_SWAPPED naming everything that stands in the way
 */
export async function refuseUnkeepable(client: SqlClient, { schema, tables }: Targets): Promise<void> {
  // The loader swaps, no matter which role starts the job.
  const role = await loaderRole(client);
  const problems = await withEmptySearchPath(client, async () => [
    ...(await client.query<Problem>(OF_THE_TABLE, [schema, tables, role.oid, role.name])).rows,
    ...(await client.query<Problem>(OF_OTHERS, [schema, tables, role.oid])).rows,
  ]);
  if (problems.length === 0) return;
  const list = problems.map(({ problem }) => problem).join('; ');
  throw new SluiceError('TARGET_CANNOT_BE_SWAPPED', `Swapping would not keep everything: ${list}.`);
}

const TARGETS = `
  SELECT c.oid, c.relname, c.reltype, c.relkind, c.relpersistence, c.reloftype, c.relowner, c.relam, n.oid AS schema,
         format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = ANY($2)`;

const OF_THE_TABLE = `
  SELECT t.name || ' ' || what AS problem FROM (${TARGETS}) AS t
  CROSS JOIN LATERAL (
    SELECT 'is ' || CASE t.relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'a foreign table'
                                   WHEN 'v' THEN 'a view' ELSE 'a materialized view' END AS what WHERE t.relkind <> 'r'
    UNION ALL SELECT 'is unlogged' WHERE t.relpersistence <> 'p'
    UNION ALL SELECT 'is a typed table' WHERE t.reloftype <> 0
    UNION ALL SELECT 'inherits from ' || inhparent::regclass FROM pg_inherits WHERE inhrelid = t.oid
    UNION ALL SELECT 'is inherited by ' || inhrelid::regclass FROM pg_inherits WHERE inhparent = t.oid
    UNION ALL SELECT 'has the rule ' || quote_ident(rulename) FROM pg_rewrite WHERE ev_class = t.oid AND t.relkind = 'r'
    UNION ALL SELECT 'has the exclusion constraint ' || i.indexrelid::regclass FROM pg_index i
              WHERE i.indrelid = t.oid AND i.indisexclusion
    UNION ALL SELECT 'is published by ' || quote_ident(p.pubname) || ', whose subscribers would not see the swap'
              FROM pg_publication_tables p WHERE p.schemaname = $1 AND p.tablename = t.relname
    UNION ALL SELECT 'has a security label of ' || provider FROM pg_seclabel
              WHERE classoid = 'pg_class'::regclass AND objoid = t.oid AND objsubid = 0
    UNION ALL SELECT 'uses the access method ' || a.amname FROM pg_am a WHERE a.oid = t.relam AND a.amname <> 'heap'
    UNION ALL SELECT 'belongs to ' || pg_get_userbyid(t.relowner) || ', whose rights ' || $4::text || ' has not'
              WHERE NOT pg_has_role($3::oid, t.relowner, 'USAGE')
    UNION ALL SELECT 'stands in a schema in which ' || $4::text || ' may not create tables'
              WHERE NOT has_schema_privilege($3::oid, t.schema, 'CREATE')
  ) AS problems`;

/** Everything the catalogs know to depend on a table or its row type, less what a swap makes again. */
const OF_OTHERS = `
  WITH target AS (${TARGETS}),
  dependent AS (
    SELECT t.name, d.classid, d.objid, d.objsubid, d.deptype, d.refclassid, t.oid AS target
    FROM target t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
    UNION
    SELECT t.name, d.classid, d.objid, d.objsubid, d.deptype, d.refclassid, t.oid
    FROM target t JOIN pg_type ty ON ty.oid = t.reltype OR ty.typelem = t.reltype AND ty.typcategory = 'A'
    JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = ty.oid
  )
  SELECT DISTINCT CASE d.classid WHEN 'pg_rewrite'::regclass
           THEN (SELECT pg_describe_object('pg_class'::regclass, ev_class, 0) FROM pg_rewrite WHERE oid = d.objid)
           ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END
         || ' depends on ' || d.name
         || CASE WHEN d.refclassid = 'pg_type'::regclass THEN '''s row type' ELSE '' END AS problem
  FROM dependent d
  WHERE NOT CASE d.classid
    WHEN 'pg_attrdef'::regclass THEN EXISTS (SELECT FROM pg_attrdef WHERE oid = d.objid AND adrelid = d.target)
    WHEN 'pg_trigger'::regclass THEN
      EXISTS (SELECT FROM pg_trigger WHERE oid = d.objid AND (tgrelid = d.target OR tgisinternal))
    WHEN 'pg_policy'::regclass THEN EXISTS (SELECT FROM pg_policy WHERE oid = d.objid AND polrelid = d.target)
    WHEN 'pg_statistic_ext'::regclass THEN true
    WHEN 'pg_publication_rel'::regclass THEN true
    WHEN 'pg_constraint'::regclass THEN
      EXISTS (SELECT FROM pg_constraint WHERE oid = d.objid AND conrelid IN (SELECT oid FROM target))
    WHEN 'pg_type'::regclass THEN
      EXISTS (SELECT FROM pg_type WHERE oid = d.objid AND (typrelid = d.target OR typelem IN (SELECT reltype FROM target)) AND d.deptype = 'i')
    WHEN 'pg_class'::regclass THEN
      EXISTS (SELECT FROM pg_class WHERE oid = d.objid AND (relkind IN ('i', 't', 'I') OR relkind = 'S' AND d.deptype IN ('a', 'i')))
    WHEN 'pg_rewrite'::regclass THEN d.refclassid = 'pg_class'::regclass AND EXISTS (
      SELECT FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class
      WHERE r.oid = d.objid
        AND (v.oid = d.target
             OR v.relkind = 'v' AND v.relpersistence = 'p' AND pg_has_role($3::oid, v.relowner, 'USAGE')))
    ELSE false END
  ORDER BY problem`;
