import { type TablePlan, mainTable } from '../table-plan.js';
import type { ProblemQuery } from './problem-queries.js';

/** Columns that must hold a value and get none: neither from the contract nor from the table itself. */
export function unfilledColumns(plan: readonly TablePlan[]): ProblemQuery {
  const filled = Object.fromEntries(plan.map(({ table, columns }) => [table, columns]));
  return { sql: UNFILLED, values: [mainTable(plan).schema, filled] };
}

// A domain may bring NOT NULL and a default of its own.
const UNFILLED = `
  SELECT format('column %I of %I.%I is NOT NULL, has no default, and the dataset does not fill it: give it a default, '
                || 'allow NULL, or drop it', a.attname, n.nspname, c.relname) AS problem
  FROM json_each($2::json) AS filled
  JOIN pg_namespace n ON n.nspname = $1
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = filled.key
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  WHERE (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND t.typdefault IS NULL
    AND a.attidentity = '' AND a.attgenerated = ''
    AND NOT EXISTS (SELECT FROM json_array_elements_text(filled.value) AS name WHERE name = a.attname)
  ORDER BY c.relname, a.attnum`;
