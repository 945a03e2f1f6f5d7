import { createHash } from 'node:crypto';
import pg from 'pg';
import { DEFAULT_SCHEMA } from '../dataset/columns.js';
import type { TablePlan } from '../record/compile-contract.js';

/**
 * Names of a job's own copies of the tables.
 *
 * A staging name begins with the job's id in hex (32 bytes), so that everything that belongs to a job can
 * be found in the catalogs without knowing its dataset: even when the dataset is gone, its leftovers are not.
 */
export const STAGING_SCHEMA = 'sluice_staging';

/** First column of every COPY: number of the record in the job, from 0; rows of child tables repeat it. */
export const RECORD_COLUMN = '_sluice_record';

/** PostgreSQL cuts longer identifiers in silence (NAMEDATALEN - 1). */
const MAX_NAME_BYTES = 63;
const HASH_LENGTH = 8;

/** The unqualified name in {@link STAGING_SCHEMA}, as PostgreSQL reports it in errors; at most 63 bytes. */
export function stagingTable(table: string, jobId: string): string {
  const prefix = stagingPrefix(jobId);
  const room = MAX_NAME_BYTES - prefix.length;
  const bytes = Buffer.from(table);
  if (bytes.length <= room) return prefix + table;
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, HASH_LENGTH);
  // A cut in the middle of a character would leave U+FFFD, three bytes long.
  const kept = bytes
    .subarray(0, room - HASH_LENGTH - 1)
    .toString()
    .replace(/\uFFFD+$/, '');
  return `${prefix}${kept}_${hash}`;
}

/** The same name with its schema, quoted: as it stands in SQL. */
export function quotedStagingTable(table: string, jobId: string): string {
  return `${STAGING_SCHEMA}.${pg.escapeIdentifier(stagingTable(table, jobId))}`;
}

/** What all staging names of a job begin with. */
export function stagingPrefix(jobId: string): string {
  return `${jobId.replaceAll('-', '').toLowerCase()}_`;
}

/** The target table with its schema, quoted. */
export function quotedTarget({ schema, table }: Pick<TablePlan, 'schema' | 'table'>): string {
  const place = schema === DEFAULT_SCHEMA ? schema : pg.escapeIdentifier(schema);
  return `${place}.${pg.escapeIdentifier(table)}`;
}

/** Column names as they stand in SQL, separated by commas, each behind `prefix`. */
export function columnList(columns: readonly string[], prefix = ''): string {
  return columns.map((column) => prefix + pg.escapeIdentifier(column)).join(', ');
}
