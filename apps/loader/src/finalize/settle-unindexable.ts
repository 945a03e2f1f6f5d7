import pg, { type PoolClient } from 'pg';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import { RECORD_COLUMN, quotedStagingTable } from '#core/staging/staging-names.js';
import type { IndexFacts } from '#core/staging/target-facts.js';
import { type FinalizedDataset, fieldOf, stagedTables } from './finalizing-job.js';
import { CLASSES_OF_STATES } from './merge-faults.js';
import { REFUSED, openRefusals, refuseListed } from './refuse-records.js';

/** "Index row too large", and its like: limits of PostgreSQL. */
const PROGRAM_LIMIT_CLASS = '54';
/**
 * Rows with less text than this are not suspect of being too long for an index. The smallest limit is the B-tree's,
 * 2,704 bytes, and the text of a row is at least half as long as its keys (`{1,1,1}` against 4 bytes a number).
 */
const SUSPECT_TEXT_BYTES = 1_000;

/**
 * Refuses the records whose rows one index cannot hold. PostgreSQL names such a row seldom and one at a time, so it
 * is asked: each suspect row is put into an empty table that has nothing but this index. An expression of the index may be
 * a function that raises an error of its own.
 * @param sqlstate of the failed build: says whether only long rows are suspect, or all
 * @returns how many records were refused
 */
export async function settleUnindexable(
  client: PoolClient,
  jobId: string,
  dataset: FinalizedDataset,
  table: string,
  index: IndexFacts,
  sqlstate: string,
): Promise<number> {
  await openRefusals(client);
  const staging = quotedStagingTable(table, jobId);
  const field = fieldOf(dataset, table, index.columns) || index.keys.join(', ');
  const suspect = sqlstate.startsWith(PROGRAM_LIMIT_CLASS)
    ? `octet_length((staged.*)::text) > ${SUSPECT_TEXT_BYTES}`
    : 'true';
  await client.query(`CREATE TEMP TABLE probe (LIKE ${staging}) ON COMMIT DROP`);
  await client.query(`CREATE INDEX ON pg_temp.probe USING ${index.body}`);
  // The message of the database may hold the row's contents, so it is not repeated.
  const refusal = [
    GENERAL_FINDING_CODES.REFUSED_BY_DATABASE,
    field,
    `The index ${index.name} cannot hold this ${field}.`,
  ].map((text) => pg.escapeLiteral(text));
  // What says nothing of the row ends the settling, as it has ended the build.
  const states = [...CLASSES_OF_STATES].map((each) => pg.escapeLiteral(each)).join(', ');
  const body = `
    DECLARE
      suspect record;
    BEGIN
      FOR suspect IN SELECT staged.ctid AS place, ${RECORD_COLUMN} AS number FROM ${staging} AS staged WHERE ${suspect} LOOP
        BEGIN
          INSERT INTO pg_temp.probe SELECT * FROM ${staging} WHERE ctid = suspect.place;
        EXCEPTION WHEN OTHERS THEN
          IF left(SQLSTATE, 2) IN (${states}) THEN RAISE; END IF;
          INSERT INTO ${REFUSED} (record, code, field, message, sqlstate)
          VALUES (suspect.number, ${refusal.join(', ')}, SQLSTATE) ON CONFLICT DO NOTHING;
        END;
      END LOOP;
    END`;
  await client.query(`DO ${pg.escapeLiteral(body)}`);
  return refuseListed(client, jobId, stagedTables(dataset));
}
