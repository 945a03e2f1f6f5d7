import type { Targets } from '../table-plan.js';
import type { ProblemQuery } from './problem-queries.js';

/**
 * Triggers that would have fired had the rows been written to the table itself: those on INSERT, and those on DELETE and
 * TRUNCATE, because the old rows go. A swap writes no row to it, so all that they fill in or note down would be missing
 * without a word. Triggers on UPDATE alone would not have fired, and are kept; so are disabled ones.
 */
export function silentTriggers({ schema, tables }: Targets): ProblemQuery {
  return { sql: TRIGGERS, values: [schema, tables] };
}

/** Bits of pg_trigger.tgtype: INSERT 4, DELETE 8, TRUNCATE 32. */
const TRIGGERS = `
  SELECT format('trigger %I of %I.%I fires on %s: load with append or upsert, or ALTER TABLE %2$I.%3$I DISABLE TRIGGER %1$I',
                t.tgname, n.nspname, c.relname,
                concat_ws(', ', CASE WHEN t.tgtype & 4 <> 0 THEN 'INSERT' END, CASE WHEN t.tgtype & 8 <> 0 THEN 'DELETE' END,
                          CASE WHEN t.tgtype & 32 <> 0 THEN 'TRUNCATE' END)) AS problem
  FROM pg_trigger t
  JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = ANY($2) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 44 <> 0
  ORDER BY c.relname, t.tgname`;
