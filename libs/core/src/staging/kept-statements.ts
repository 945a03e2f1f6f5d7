import type { SqlClient } from '#common/postgres/sql-client.js';

/**
 * Statements that make a table, once it bears the old one's name, what the old one was. They are written
 * by the server itself (format, pg_get_triggerdef …) from the old table's catalog rows, while it is there.
 */
interface Statement {
  oid: number;
  statement: string;
}

type StatementsOf = (oid: number) => string[];

/** `ALTER COLUMN c SET STATISTICS n`, to be put behind any ALTER TABLE: what ANALYZE uses. */
export async function columnSettings(client: SqlClient, oids: number[]): Promise<StatementsOf> {
  return statementsOf(client, [COLUMN_SETTINGS], oids);
}

/** Replica identity, triggers, policies, comments and the like: everything but privileges. */
export async function keptStatements(client: SqlClient, oids: number[]): Promise<StatementsOf> {
  return statementsOf(
    client,
    [TABLE_SETTINGS, TRIGGERS, POLICIES, INDEX_SETTINGS, STATISTICS_SETTINGS, COMMENTS],
    oids,
  );
}

/** Privileges on the tables, their columns and their sequences; empty where they are the owner's default. */
export async function grantStatements(client: SqlClient, oids: number[]): Promise<StatementsOf> {
  return statementsOf(client, [GRANTS], oids);
}

/** Takes away what ALTER DEFAULT PRIVILEGES gave to others when the table was made. */
export async function revokeStatements(client: SqlClient, oids: number[]): Promise<string[]> {
  const { rows } = await client.query<Statement>(REVOKES, [oids]);
  return rows.map((row) => row.statement);
}

async function statementsOf(
  client: SqlClient,
  queries: readonly string[],
  oids: number[],
): Promise<StatementsOf> {
  const statements: Statement[] = [];
  for (const query of queries) statements.push(...(await client.query<Statement>(query, [oids])).rows);
  return (oid) => statements.filter((entry) => entry.oid === oid).map((entry) => entry.statement);
}

const TABLE = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;
const NAME = `format('%I.%I', n.nspname, c.relname)`;

const COLUMN_SETTINGS = `
  SELECT c.oid, statement FROM ${TABLE}
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  CROSS JOIN LATERAL (VALUES
    (CASE WHEN a.attstattarget >= 0 THEN format('ALTER COLUMN %I SET STATISTICS %s', a.attname, a.attstattarget) END),
    (CASE WHEN a.attoptions IS NOT NULL
          THEN format('ALTER COLUMN %I SET (%s)', a.attname, array_to_string(a.attoptions, ', ')) END)
  ) AS settings (statement)
  WHERE c.oid = ANY($1) AND statement IS NOT NULL ORDER BY a.attnum`;

const TABLE_SETTINGS = `
  SELECT c.oid, statement FROM ${TABLE}
  CROSS JOIN LATERAL (VALUES
    (CASE c.relreplident WHEN 'f' THEN format('ALTER TABLE %s REPLICA IDENTITY FULL', ${NAME})
                         WHEN 'n' THEN format('ALTER TABLE %s REPLICA IDENTITY NOTHING', ${NAME}) END),
    (CASE WHEN c.relrowsecurity THEN format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', ${NAME}) END),
    (CASE WHEN c.relforcerowsecurity THEN format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', ${NAME}) END)
  ) AS settings (statement)
  WHERE c.oid = ANY($1) AND statement IS NOT NULL`;

const TRIGGERS = `
  SELECT c.oid, statement FROM ${TABLE}
  JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
  CROSS JOIN LATERAL (VALUES
    (1, pg_get_triggerdef(t.oid)),
    (2, CASE t.tgenabled WHEN 'D' THEN format('ALTER TABLE %s DISABLE TRIGGER %I', ${NAME}, t.tgname)
                         WHEN 'R' THEN format('ALTER TABLE %s ENABLE REPLICA TRIGGER %I', ${NAME}, t.tgname)
                         WHEN 'A' THEN format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', ${NAME}, t.tgname) END)
  ) AS parts (part, statement)
  WHERE c.oid = ANY($1) AND statement IS NOT NULL ORDER BY t.tgname, part`;

const POLICIES = `
  SELECT c.oid, concat(
    format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, ${NAME},
      CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ')
       FROM unnest(p.polroles) AS role)),
    ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS statement
  FROM ${TABLE} JOIN pg_policy p ON p.polrelid = c.oid
  WHERE c.oid = ANY($1) ORDER BY p.polname`;

const INDEX_SETTINGS = `
  SELECT c.oid, statement FROM ${TABLE}
  JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class ic ON ic.oid = i.indexrelid
  CROSS JOIN LATERAL (
    SELECT format('ALTER TABLE %s CLUSTER ON %I', ${NAME}, ic.relname) AS statement WHERE i.indisclustered
    UNION ALL
    SELECT format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', ${NAME}, ic.relname) WHERE i.indisreplident
    UNION ALL
    SELECT format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s', n.nspname, ic.relname, a.attnum, a.attstattarget)
    FROM pg_attribute a WHERE a.attrelid = ic.oid AND a.attstattarget >= 0
    UNION ALL
    SELECT format('COMMENT ON INDEX %I.%I IS %L', n.nspname, ic.relname, d.description)
    FROM pg_description d WHERE d.objoid = ic.oid AND d.classoid = 'pg_class'::regclass
  ) AS settings
  WHERE c.oid = ANY($1) ORDER BY ic.relname, statement`;

const STATISTICS_SETTINGS = `
  SELECT c.oid, statement FROM ${TABLE}
  JOIN pg_statistic_ext s ON s.stxrelid = c.oid JOIN pg_namespace sn ON sn.oid = s.stxnamespace
  CROSS JOIN LATERAL (VALUES
    (format('ALTER STATISTICS %I.%I OWNER TO %I', sn.nspname, s.stxname, pg_get_userbyid(s.stxowner))),
    (CASE WHEN s.stxstattarget >= 0
          THEN format('ALTER STATISTICS %I.%I SET STATISTICS %s', sn.nspname, s.stxname, s.stxstattarget) END)
  ) AS settings (statement)
  WHERE c.oid = ANY($1) AND statement IS NOT NULL ORDER BY s.stxname, statement`;

const COMMENTS = `
  SELECT c.oid, format('COMMENT ON %s IS %L', thing, description) AS statement FROM ${TABLE}
  CROSS JOIN LATERAL (
    SELECT CASE d.objsubid WHEN 0 THEN format('TABLE %s', ${NAME}) ELSE format('COLUMN %s.%I', ${NAME}, a.attname) END AS thing,
           d.description
    FROM pg_description d LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
    WHERE d.objoid = c.oid AND d.classoid = 'pg_class'::regclass
    UNION ALL
    SELECT format('CONSTRAINT %I ON %s', con.conname, ${NAME}), d.description FROM pg_constraint con
    JOIN pg_description d ON d.objoid = con.oid AND d.classoid = 'pg_constraint'::regclass WHERE con.conrelid = c.oid
    UNION ALL
    SELECT format('TRIGGER %I ON %s', t.tgname, ${NAME}), d.description FROM pg_trigger t
    JOIN pg_description d ON d.objoid = t.oid AND d.classoid = 'pg_trigger'::regclass WHERE t.tgrelid = c.oid
    UNION ALL
    SELECT format('POLICY %I ON %s', p.polname, ${NAME}), d.description FROM pg_policy p
    JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_policy'::regclass WHERE p.polrelid = c.oid
    UNION ALL
    SELECT format('STATISTICS %I.%I', sn.nspname, s.stxname), d.description FROM pg_statistic_ext s
    JOIN pg_namespace sn ON sn.oid = s.stxnamespace
    JOIN pg_description d ON d.objoid = s.oid AND d.classoid = 'pg_statistic_ext'::regclass WHERE s.stxrelid = c.oid
    UNION ALL
    SELECT format('SEQUENCE %I.%I', qn.nspname, q.relname), d.description FROM pg_depend own
    JOIN pg_class q ON q.oid = own.objid AND q.relkind = 'S' JOIN pg_namespace qn ON qn.oid = q.relnamespace
    JOIN pg_description d ON d.objoid = q.oid AND d.classoid = 'pg_class'::regclass
    WHERE own.classid = 'pg_class'::regclass AND own.refclassid = 'pg_class'::regclass AND own.refobjid = c.oid
      AND own.deptype = 'i'
  ) AS comments
  WHERE c.oid = ANY($1) ORDER BY thing`;

/** The tables themselves and their identity sequences: everything of theirs that has privileges of its own. */
const PRIVILEGED = `
  SELECT c.oid, c.relacl, c.relowner, format('TABLE %s', ${NAME}) AS thing FROM ${TABLE} WHERE c.oid = ANY($1)
  UNION ALL
  SELECT own.refobjid, c.relacl, c.relowner, format('SEQUENCE %s', ${NAME}) FROM ${TABLE}
  JOIN pg_depend own ON own.objid = c.oid AND own.classid = 'pg_class'::regclass
    AND own.refclassid = 'pg_class'::regclass AND own.deptype = 'i'
  WHERE c.relkind = 'S' AND own.refobjid = ANY($1)`;

const ROLE = `CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END`;
const OPTION = `CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END`;

// A privilege granted by another role with the grant option is granted by the owner afterwards: the same rights.
const GRANTS = `
  SELECT DISTINCT oid, rank, statement FROM (
    SELECT p.oid, 1 AS rank, format('REVOKE ALL ON %s FROM %I', thing, pg_get_userbyid(p.relowner)) AS statement
    FROM (${PRIVILEGED}) AS p WHERE p.relacl IS NOT NULL
    UNION ALL
    SELECT p.oid, 2, format('GRANT %s ON %s TO %s%s', privilege_type, thing, ${ROLE}, ${OPTION})
    FROM (${PRIVILEGED}) AS p CROSS JOIN LATERAL aclexplode(p.relacl)
    UNION ALL
    SELECT c.oid, 2, format('GRANT %s (%I) ON TABLE %s TO %s%s', privilege_type, a.attname, ${NAME}, ${ROLE}, ${OPTION})
    FROM ${TABLE} JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
    CROSS JOIN LATERAL aclexplode(a.attacl) WHERE c.oid = ANY($1)
  ) AS grants ORDER BY oid, rank, statement`;

const REVOKES = `
  SELECT DISTINCT p.oid, format('REVOKE ALL ON %s FROM %s CASCADE', thing, ${ROLE}) AS statement
  FROM (${PRIVILEGED}) AS p CROSS JOIN LATERAL aclexplode(p.relacl) WHERE grantee <> p.relowner`;
