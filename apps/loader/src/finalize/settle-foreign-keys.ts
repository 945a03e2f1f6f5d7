import type { PoolClient } from 'pg';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import { RECORD_COLUMN, columnList, quotedStagingTable } from '#core/staging/staging-names.js';
import type { ForeignKeyFacts, MergeFacts } from '#core/staging/target-facts.js';
import { type FinalizedDataset, fieldOf, stagedTables } from './finalizing-job.js';
import { REFUSED, openRefusals, refuseListed } from './refuse-records.js';

const FOREIGN_KEY_VIOLATION = '23503';

export interface OrphanSearch {
  /** Merging modes: what stands in the target already may be referred to as well. */
  readonly alsoInTarget: boolean;
  /** Only references to tables that are not the dataset's own. */
  readonly outerOnly: boolean;
}

/**
 * Refuses every record with a row that refers to nothing, until none is left: a refused record's rows may be
 * what others referred to. Runs while staging has no foreign keys, or ON DELETE CASCADE would take rows of other
 * records along in silence.
 */
export async function settleForeignKeys(
  client: PoolClient,
  jobId: string,
  dataset: FinalizedDataset,
  targets: readonly MergeFacts[],
  { alsoInTarget, outerOnly }: OrphanSearch,
): Promise<number> {
  await openRefusals(client);
  let refused = 0;
  let found: number;
  do {
    for (const target of targets) {
      for (const key of target.foreignKeys) {
        if (!key.validated || (outerOnly && isOwn(key, targets))) continue;
        const field = fieldOf(dataset, target.table, key.columns);
        const own = targets.find(({ oid }) => oid === key.referencedOid);
        const places = [
          ...(own === undefined ? [] : [quotedStagingTable(own.table, jobId)]),
          ...(own === undefined || alsoInTarget ? [key.referenced] : []),
        ];
        await client.query(listOrphans(quotedStagingTable(target.table, jobId), key, places), [
          GENERAL_FINDING_CODES.REFUSED_BY_DATABASE,
          field,
          `No row of ${key.referenced} has this ${field} (foreign key ${key.name}).`,
          FOREIGN_KEY_VIOLATION,
        ]);
      }
    }
    found = await refuseListed(client, jobId, stagedTables(dataset));
    refused += found;
  } while (found > 0);
  return refused;
}

/** Whether a key refers to a table of the dataset itself. */
export function isOwn(key: ForeignKeyFacts, targets: readonly MergeFacts[]): boolean {
  return targets.some(({ oid }) => oid === key.referencedOid);
}

function listOrphans(staging: string, key: ForeignKeyFacts, places: readonly string[]): string {
  const theirs = columnList(key.referencedColumns, 'referenced.');
  const ours = columnList(key.columns, 'staged.');
  const nowhere = places
    .map((place) => `NOT EXISTS (SELECT FROM ${place} AS referenced WHERE (${theirs}) = (${ours}))`)
    .join(' AND ');
  const partlyNull = `num_nulls(${ours}) BETWEEN 1 AND ${key.columns.length - 1}`;
  return `
    INSERT INTO ${REFUSED} (record, code, field, message, sqlstate)
    SELECT DISTINCT staged.${RECORD_COLUMN}, $1::text, $2::text, $3::text, $4::text FROM ${staging} AS staged
    WHERE num_nulls(${ours}) = 0 AND ${nowhere} ${key.matchFull ? `OR ${partlyNull}` : ''}
    ON CONFLICT DO NOTHING`;
}
