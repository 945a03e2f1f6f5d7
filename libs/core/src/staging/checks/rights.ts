import type { WriteMode } from '../../dataset/dataset.js';
import { STAGING_SCHEMA } from '../staging-names.js';
import { type TablePlan, targetsOf } from '../table-plan.js';
import type { ProblemQuery } from './problem-queries.js';
import type { LoaderRole } from './service-role.js';

/**
 * Rights that the job will need and the loader's role has not, each with the statement that gives it. What a swap needs
 * beyond these (owning the tables, and everything that depends on them) `unkeepable.ts` checks.
 */
export function rightsQueries(
  plan: readonly TablePlan[],
  { mode, takesDeletes }: { readonly mode: WriteMode; readonly takesDeletes: boolean },
  role: LoaderRole,
): ProblemQuery[] {
  const { schema, tables } = targetsOf(plan);
  const wanted = Object.fromEntries(
    plan.map(({ table, parent }) => [table, privileges(mode, parent !== null, takesDeletes)]),
  );
  const values = [role.oid, role.name, schema, tables];
  return [
    { sql: SURROUNDINGS, values: [role.oid, role.name, STAGING_SCHEMA] },
    { sql: ON_SCHEMA, values: [role.oid, role.name, schema] },
    { sql: ON_TABLES, values: [...values, wanted] },
    { sql: FOR_ROWS, values },
    { sql: FOREIGN_KEYS, values: [...values, mode === 'replace'] },
    ...(mode === 'replace' ? [{ sql: FOR_SWAPS, values }] : []),
  ];
}

/** What a merge does to the tables; a swap needs to own them instead. */
function privileges(mode: WriteMode, isChild: boolean, takesDeletes: boolean): string[] {
  if (mode === 'replace') return ['SELECT'];
  if (mode === 'append') return ['SELECT', 'INSERT'];
  return ['SELECT', 'INSERT', ...(isChild ? ['DELETE'] : takesDeletes ? ['UPDATE', 'DELETE'] : ['UPDATE'])];
}

/** $1: oid of the role, $2: its name. */
const SURROUNDINGS = `
  SELECT problem FROM (
    SELECT 1, format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), $2::text)
    WHERE NOT has_database_privilege($1::oid, current_database(), 'TEMPORARY')
    UNION ALL
    SELECT 2, format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', $3::text, who.name)
    FROM (SELECT $1::oid AS oid, $2::text AS name UNION SELECT oid, rolname FROM pg_roles WHERE rolname = current_user) AS who
    WHERE NOT (has_schema_privilege(who.oid, $3::text, 'CREATE') AND has_schema_privilege(who.oid, $3::text, 'USAGE'))
    UNION ALL
    SELECT 3, format('GRANT %I TO %I', current_user, $2::text) || ', whose staging tables it has to finish'
    WHERE NOT pg_has_role($1::oid, current_user, 'USAGE')
  ) AS problems (rank, problem) ORDER BY rank`;

/** The role that starts the job names the tables, too. */
const ON_SCHEMA = `
  SELECT format('GRANT USAGE ON SCHEMA %I TO %I', $3::text, who.name) AS problem
  FROM (SELECT $1::oid AS oid, $2::text AS name UNION SELECT oid, rolname FROM pg_roles WHERE rolname = current_user) AS who
  WHERE NOT has_schema_privilege(who.oid, $3::text, 'USAGE')
  ORDER BY problem`;

const TARGETS = `
  SELECT c.oid, c.relname AS table, c.relowner, n.oid AS schema, n.nspname, format('%I.%I', n.nspname, c.relname) AS name,
         c.relrowsecurity, c.relforcerowsecurity
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $3::text AND c.relname = ANY($4)`;

/** The role that starts the job makes tables LIKE the targets, and needs SELECT for that. */
const ON_TABLES = `
  SELECT format('GRANT %s ON %s TO %I', string_agg(missing.privilege, ', ' ORDER BY missing.rank), t.name, missing.role) AS problem
  FROM (${TARGETS}) AS t
  CROSS JOIN LATERAL (
    SELECT wanted.privilege, wanted.rank, $2::text AS role
    FROM json_array_elements_text($5::json -> t.table) WITH ORDINALITY AS wanted (privilege, rank)
    WHERE NOT has_table_privilege($1::oid, t.oid, wanted.privilege)
    UNION
    SELECT 'SELECT', 0, current_user::text
    WHERE current_user <> $2::text AND NOT has_table_privilege(t.oid, 'SELECT')
  ) AS missing
  GROUP BY t.name, missing.role ORDER BY t.name`;

/**
 * What each row that is written asks for: the sequences and functions of defaults, CHECK constraints and indexes. And
 * row security, which would hide rows from a merge or from the count that a replacement is compared with.
 */
const FOR_ROWS = `
  WITH target AS (${TARGETS}),
  needed AS (
    SELECT t.oid AS target, d.refclassid, d.refobjid
    FROM target t JOIN pg_attrdef def ON def.adrelid = t.oid
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = def.oid
    UNION
    SELECT t.oid, d.refclassid, d.refobjid
    FROM target t JOIN pg_constraint con ON con.conrelid = t.oid AND con.contype = 'c'
    JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = con.oid
    UNION
    SELECT t.oid, d.refclassid, d.refobjid
    FROM target t JOIN pg_index i ON i.indrelid = t.oid
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
  )
  SELECT DISTINCT format('GRANT USAGE ON SEQUENCE %s TO %I', s.oid::regclass, $2::text) AS problem
  FROM needed JOIN pg_class s ON needed.refclassid = 'pg_class'::regclass AND s.oid = needed.refobjid AND s.relkind = 'S'
  -- CASE, because the function fails for anything else and may be asked before the join.
  WHERE CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege($1::oid, s.oid, 'USAGE, UPDATE') END
  UNION
  SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, $2::text)
  FROM needed JOIN pg_proc p ON needed.refclassid = 'pg_proc'::regclass AND p.oid = needed.refobjid
  WHERE NOT has_function_privilege($1::oid, p.oid, 'EXECUTE')
  UNION
  SELECT format('ALTER ROLE %I BYPASSRLS, because %s has row security that may hide rows from it', $2::text, t.name)
  FROM target t JOIN pg_roles r ON r.oid = $1::oid
  WHERE t.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls
    AND (t.relforcerowsecurity OR NOT pg_has_role($1::oid, t.relowner, 'USAGE'))
  ORDER BY problem`;

/** Tables of others that the targets refer to: looked into for orphans, and referred to again by a swap. */
const FOREIGN_KEYS = `
  WITH target AS (${TARGETS})
  SELECT DISTINCT format('GRANT %s ON %s TO %I', wanted.privilege, con.confrelid::regclass, $2::text) AS problem
  FROM target t
  JOIN pg_constraint con ON con.conrelid = t.oid AND con.contype = 'f'
  CROSS JOIN LATERAL (SELECT 'SELECT' AS privilege UNION ALL SELECT 'REFERENCES' WHERE $5) AS wanted
  WHERE con.confrelid NOT IN (SELECT oid FROM target)
    AND NOT has_table_privilege($1::oid, con.confrelid, wanted.privilege)
    AND NOT (SELECT bool_and(has_column_privilege($1::oid, con.confrelid, k, wanted.privilege)) FROM unnest(con.confkey) AS k)
  ORDER BY problem`;

/** What a swap makes again besides the tables. */
const FOR_SWAPS = `
  WITH target AS (${TARGETS})
  SELECT DISTINCT format('GRANT EXECUTE ON FUNCTION %s TO %I', t.tgfoid::regprocedure, $2::text) AS problem
  FROM target JOIN pg_trigger t ON t.tgrelid = target.oid AND NOT t.tgisinternal
  WHERE NOT has_function_privilege($1::oid, t.tgfoid, 'EXECUTE')
  UNION
  SELECT format('GRANT CREATE ON SCHEMA %I TO %I', target.nspname, pg_get_userbyid(target.relowner))
         || format(', who owns %s and is to own the new one', target.name)
  FROM target WHERE target.relowner <> $1::oid AND NOT has_schema_privilege(target.relowner, target.schema, 'CREATE')
  UNION
  SELECT format('GRANT USAGE, CREATE ON SCHEMA %I TO %I, for the view %s', n.nspname, $2::text, v.oid::regclass)
  FROM target
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = target.oid AND d.classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite r ON r.oid = d.objid
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
  JOIN pg_namespace n ON n.oid = v.relnamespace
  WHERE NOT (has_schema_privilege($1::oid, n.oid, 'CREATE') AND has_schema_privilege($1::oid, n.oid, 'USAGE'))
  ORDER BY problem`;
