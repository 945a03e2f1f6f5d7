import type { SqlClient } from '#common/postgres/sql-client.js';
import { bigintAsNumber } from '#common/postgres/typeorm.js';
import type { Stream } from './stream.entity.js';

const STREAM_COLUMNS = {
  dataset: 'dataset',
  state: 'state',
  stateSince: 'state_since',
  reason: 'reason',
  detail: 'detail',
  wait: 'wait',
  maxRecords: 'max_records',
  maxBytes: 'max_bytes',
  maxMs: 'max_ms',
  position: 'position',
  drainTo: 'drain_to',
  skipLost: 'skip_lost',
  oldestWaiting: 'oldest_waiting',
  contractVersion: 'contract_version',
  owner: 'owner',
  epoch: 'epoch',
  leaseUntil: 'lease_until',
  lastJob: 'last_job',
  jobs: 'jobs',
  records: 'records',
  judgedFrom: 'judged_from',
  createdAt: 'created_at',
} as const satisfies Record<keyof Stream, string>;

/** For SELECT and RETURNING. */
export const SELECTED_STREAM = Object.entries(STREAM_COLUMNS)
  .map(([name, column]) => `${column} AS "${name}"`)
  .join(', ');

/** A row as the driver gives it. */
export function streamOf(row: Stream): Stream {
  for (const name of ['jobs', 'records'] as const)
    row[name] = bigintAsNumber.from(row[name] as unknown as string) ?? 0;
  return row;
}

/** All of them, by name. */
export async function readStreams(client: SqlClient): Promise<Stream[]> {
  const { rows } = await client.query<Stream>(
    `SELECT ${SELECTED_STREAM} FROM sluice.stream ORDER BY dataset`,
  );
  return rows.map(streamOf);
}

/** @returns null when the dataset's stream was never started */
export async function readStream(client: SqlClient, dataset: string): Promise<Stream | null> {
  const { rows } = await client.query<Stream>(
    `SELECT ${SELECTED_STREAM} FROM sluice.stream WHERE dataset = $1`,
    [dataset],
  );
  return rows[0] ? streamOf(rows[0]) : null;
}
