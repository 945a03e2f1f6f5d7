import type { PoolClient } from 'pg';
import pg from 'pg';
import type { IndexFacts, MergeFacts } from '#core/staging/target-facts.js';

/**
 * Moves the sequence of a generated column behind the highest number that the table has: rows that were inserted with
 * numbers of their own, or restored, leave it behind, and every new row would meet one of them.
 * @returns the sequence's name; null when the index is of something else, or its sequence is not behind
 */
export async function advanceSequence(
  client: PoolClient,
  { name }: MergeFacts,
  { columns, keys }: IndexFacts,
): Promise<string | null> {
  const [column] = columns;
  if (column === undefined || keys.length !== 1) return null;
  const { rows } = await client.query<{ sequence: string | null }>(
    `SELECT format('%I.%I', n.nspname, s.relname) AS sequence
     FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
     WHERE s.oid = pg_get_serial_sequence($1, $2)::regclass AND q.seqincrement > 0`,
    [name, column],
  );
  const sequence = rows[0]?.sequence ?? null;
  if (sequence === null) return null;
  const { rowCount } = await client.query(
    `SELECT setval($1::regclass, highest, true)
     FROM (SELECT max(${pg.escapeIdentifier(column)})::bigint AS highest FROM ${name}) AS numbers, ${sequence} AS s
     WHERE highest >= s.last_value + CASE WHEN s.is_called THEN 1 ELSE 0 END`,
    [sequence],
  );
  return rowCount === 1 ? sequence : null;
}
