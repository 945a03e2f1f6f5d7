import type { PoolClient } from 'pg';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import { RECORD_COLUMN, quotedStagingTable } from '#core/staging/staging-names.js';
import type { IndexFacts } from '#core/staging/target-facts.js';
import { type FinalizedDataset, fieldOf, stagedTables } from './finalizing-job.js';
import { BATCHES_OF_JOB, REFUSED, openRefusals, refuseListed } from './refuse-records.js';

/**
 * Refuses records until one unique index can be built.
 *
 * - SD1: of records with one key the first (or last) accepted one is kept; which batch it came in makes no difference.
 * - SD2: a record that is itself refused keeps no other out. A record's child rows may meet several others, so only
 *   records that lost to a certain winner are refused at once; those that lost to an uncertain one are judged again.
 * - SD3: a record whose own child rows share a key is refused: no order could settle it.
 */
export async function settleDuplicates(
  client: PoolClient,
  jobId: string,
  dataset: FinalizedDataset,
  table: string,
  index: UniqueTerms,
): Promise<number> {
  await openRefusals(client);
  return refuseLosers(client, jobId, dataset, table, index, 'true');
}

/** What of a unique index decides on who shares a place in it. */
export type UniqueTerms = Pick<IndexFacts, 'columns' | 'keys' | 'terms' | 'predicate' | 'nullsDistinct'>;

/**
 * The same with the list of refusals open.
 * @param among condition on rows of staging: who takes part
 */
export async function refuseLosers(
  client: PoolClient,
  jobId: string,
  dataset: FinalizedDataset,
  table: string,
  index: UniqueTerms,
  among: string,
): Promise<number> {
  const field = fieldOf(dataset, table, index.columns) || index.keys.join(', ');
  let refused = 0;
  let uncertain: boolean;
  do {
    const { rows } = await client.query<{ uncertain: boolean }>(
      listLosers(quotedStagingTable(table, jobId), index, dataset.keepOfDuplicates, among),
      [jobId, GENERAL_FINDING_CODES.DUPLICATE, field],
    );
    uncertain = rows[0]?.uncertain ?? false;
    refused += await refuseListed(client, jobId, stagedTables(dataset));
  } while (uncertain);
  return refused;
}

/** Which rows have a place in the index at all. */
export function indexed({ predicate, nullsDistinct, keys }: UniqueTerms): string {
  return [
    ...(predicate === null ? [] : [`(${predicate})`]),
    ...(nullsDistinct ? keys.map((key) => `(${key}) IS NOT NULL`) : []),
    'true',
  ].join(' AND ');
}

function listLosers(staging: string, index: UniqueTerms, keep: 'first' | 'last', among: string): string {
  return `
    WITH ranked AS (
      SELECT ${RECORD_COLUMN} AS record, first_value(${RECORD_COLUMN}) OVER same AS winner, row_number() OVER same AS place
      FROM ${staging} WHERE ${indexed(index)} AND ${among}
      WINDOW same AS (PARTITION BY ${index.terms.join(', ')} ORDER BY ${RECORD_COLUMN} ${keep === 'first' ? 'ASC' : 'DESC'}, ctid)
    ),
    lost AS MATERIALIZED (SELECT record, winner FROM ranked WHERE place > 1),
    certain AS (
      SELECT record, max(winner) FILTER (WHERE winner <> record) AS winner
      FROM lost WHERE winner = record OR NOT EXISTS (SELECT FROM lost AS w WHERE w.record = lost.winner)
      GROUP BY record
    ),
    ${BATCHES_OF_JOB},
    listed AS (
      INSERT INTO ${REFUSED} (record, code, field, message)
      SELECT c.record, $2::text, $3::text, CASE
        WHEN c.winner IS NULL THEN 'The record holds the same ' || $3::text || ' more than once.'
        ELSE format('Record %s%s has the same %s and is kept.', c.winner,
               CASE WHEN b.one_line_each THEN format(' (line %s)', b.first_line + c.winner - b.first_record) END, $3::text) END
      FROM certain AS c CROSS JOIN starts
      LEFT JOIN batches AS b ON b.batch = starts.batches[width_bucket(c.winner, starts.firsts)]
    )
    SELECT (SELECT count(DISTINCT record) FROM lost) > (SELECT count(*) FROM certain) AS uncertain`;
}
