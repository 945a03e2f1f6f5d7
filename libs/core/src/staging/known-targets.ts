import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { inspectForMerge } from './inspect-targets.js';
import type { Targets } from './table-plan.js';
import type { MergeFacts } from './target-facts.js';

/**
 * What one process knows of target tables from earlier jobs, so that a small job does not plan the three large catalogue
 * queries of {@link inspectForMerge} each time it begins or merges: one query says whether anything has changed since.
 *
 * - KT1: facts are kept under the stamp that was read before them: what changes between the two has another stamp.
 * - KT2: the stamp names every row version (`xmin` and place) of the catalogues that the facts are read from, and the
 *   server's own text of each index, which names functions, collations and operator classes that may be renamed. A row
 *   that is changed, or undone, never has an earlier version's place and transaction again. Statistics (`relpages`) are
 *   written in place and change no stamp.
 * - KT3: a merge that fails with the facts forgets them: nothing is tried twice with facts that were not read for it.
 *
 * Of one database: the pool or data source that the clients come from belongs to the process, as this object does.
 */
export class KnownTargets {
  private readonly known = new Map<string, { readonly stamp: string; readonly facts: MergeFacts[] }>();

  /**
   * {@link inspectForMerge} of the targets, or what it said when they were the same.
   * @param client inside a transaction
   * @throws SluiceError TARGET_MISSING
   */
  async forMerge(client: SqlClient, targets: Targets): Promise<MergeFacts[]> {
    const key = JSON.stringify([targets.schema, ...targets.tables]);
    const stamp = await stampOf(client, targets);
    const known = this.known.get(key);
    if (known?.stamp === stamp) return known.facts;
    this.known.delete(key);
    const facts = await inspectForMerge(client, targets);
    this.known.set(key, { stamp, facts });
    return facts;
  }

  forget(): void {
    this.known.clear();
  }
}

async function stampOf(client: SqlClient, { schema, tables }: Targets): Promise<string> {
  const { rows } = await prepared(client).query<{ stamp: string }>(STAMP, [schema, tables]);
  return rows[0]?.stamp ?? '';
}

/**
 * `near`: the targets, their TOAST tables and indexes, and the tables that they refer to. Schemas and tablespaces are few,
 * so all of them count.
 */
const STAMP = `
  WITH target AS MATERIALIZED (
    SELECT c.oid, c.reltoastrelid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = ANY($2)
  ), own AS MATERIALIZED (
    SELECT coalesce(array_agg(oid), '{}') AS tables, coalesce(array_agg(reltoastrelid), '{}') AS toast FROM target
  ), keys AS MATERIALIZED (
    SELECT k.oid, k.confrelid, concat('k', k.xmin, k.ctid) AS version
    FROM pg_constraint k WHERE k.conrelid = ANY((SELECT tables FROM own)::oid[])
  ), indexes AS MATERIALIZED (
    SELECT i.indexrelid, concat('i', i.xmin, i.ctid, pg_get_indexdef(i.indexrelid)) AS version
    FROM pg_index i WHERE i.indrelid = ANY((SELECT tables FROM own)::oid[])
  ), near AS MATERIALIZED (
    SELECT (SELECT tables || toast FROM own)
           || ARRAY(SELECT confrelid FROM keys WHERE confrelid <> 0) || ARRAY(SELECT indexrelid FROM indexes) AS oids,
           (SELECT tables FROM own) || ARRAY(SELECT confrelid FROM keys WHERE confrelid <> 0) AS tables
  )
  SELECT md5(concat(
    (SELECT string_agg(concat(c.oid, c.xmin, c.ctid), ',' ORDER BY c.oid)
     FROM pg_class c WHERE c.oid = ANY((SELECT oids FROM near)::oid[])), '/',
    (SELECT string_agg(concat(a.xmin, a.ctid), ',' ORDER BY a.attrelid, a.attnum)
     FROM pg_attribute a WHERE a.attrelid = ANY((SELECT tables FROM near)::oid[]) AND a.attnum > 0), '/',
    (SELECT string_agg(concat(d.xmin, d.ctid), ',' ORDER BY d.adrelid, d.adnum)
     FROM pg_attrdef d WHERE d.adrelid = ANY((SELECT tables FROM own)::oid[])), '/',
    (SELECT string_agg(concat(r.xmin, r.ctid), ',' ORDER BY r.ev_class, r.rulename)
     FROM pg_rewrite r WHERE r.ev_class = ANY((SELECT tables FROM own)::oid[])), '/',
    -- Whether equal values are the same bytes is said here. All of them: they are few.
    (SELECT string_agg(concat(ap.xmin, ap.ctid), ',' ORDER BY ap.oid) FROM pg_amproc ap WHERE ap.amprocnum = 4), '/',
    (SELECT string_agg(version, ',' ORDER BY oid) FROM keys), '/',
    (SELECT string_agg(version, ',' ORDER BY indexrelid) FROM indexes), '/',
    (SELECT string_agg(concat(n.oid, n.xmin, n.ctid), ',' ORDER BY n.oid) FROM pg_namespace n
     WHERE n.nspname !~ '^pg_(toast_)?temp_'), '/',
    (SELECT string_agg(concat(s.oid, s.xmin, s.ctid), ',' ORDER BY s.oid) FROM pg_tablespace s))) AS stamp`;
