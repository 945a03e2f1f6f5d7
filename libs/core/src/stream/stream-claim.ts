import type { StreamPauseReason, StreamWaitCode } from '#api/stream-words.js';
import type { StreamPauseDetail } from '#api/streams.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { StreamPosition } from './position.js';
import { SELECTED_STREAM, streamOf } from './read-stream.js';
import { ATTENDED_STATES, streamComingFrom, streamEntering } from './stream-state.js';
import type { Stream } from './stream.entity.js';

/**
 * An ingestor's claim on a stream: its lease, and what it changes under it. Each statement does nothing when the claim is
 * lost. The lease counts by the database's clock alone.
 */
export interface StreamClaim {
  readonly dataset: string;
  readonly epoch: number;
}

/** The holder of a claim is in the row; pausing and claiming raise the epoch. */
const HELD = 'dataset = $1 AND epoch = $2 AND owner IS NOT NULL';
const NO_OWNER = 'owner = NULL, lease_until = NULL';

/** What an ingestor can run: its datasets with an inbox, and the version that it has of each. */
export type StreamVersions = Readonly<Record<string, number>>;

/** Takes streams that no ingestor holds, one claim each. @returns their rows with the epoch of the claim */
export async function claimStreams(
  client: SqlClient,
  owner: string,
  leaseSeconds: number,
  versions: StreamVersions,
): Promise<Stream[]> {
  const { rows } = await client.query<Stream>(
    `UPDATE sluice.stream SET owner = $1, epoch = epoch + 1, lease_until = now() + $2 * interval '1 second',
       contract_version = ($3::jsonb->>dataset)::integer
     WHERE dataset IN (
       SELECT dataset FROM sluice.stream
       WHERE state = ANY($4) AND (lease_until IS NULL OR lease_until < now())
         AND contract_version <= ($3::jsonb->>dataset)::integer
       FOR UPDATE SKIP LOCKED)
     RETURNING ${SELECTED_STREAM}`,
    [owner, leaseSeconds, versions, ATTENDED_STATES],
  );
  return rows.map(streamOf);
}

/** Streams that this ingestor may not run, because a newer version of their dataset has run them, and that no ingestor holds. */
export async function streamsOfNewerVersions(client: SqlClient, versions: StreamVersions): Promise<string[]> {
  const { rows } = await client.query<{ dataset: string }>(
    `SELECT dataset FROM sluice.stream WHERE state = ANY($2) AND (lease_until IS NULL OR lease_until < now())
       AND contract_version > ($1::jsonb->>dataset)::integer`,
    [versions, ATTENDED_STATES],
  );
  return rows.map(({ dataset }) => dataset);
}

/** @returns the row as it is now; null when the claim is lost, or the stream was paused */
export async function renewStreamLease(
  client: SqlClient,
  { dataset, epoch }: StreamClaim,
  leaseSeconds: number,
  oldestWaiting: Date | null,
): Promise<Stream | null> {
  const { rows } = await client.query<Stream>(
    `UPDATE sluice.stream SET lease_until = now() + $3 * interval '1 second', oldest_waiting = $4
     WHERE ${HELD} RETURNING ${SELECTED_STREAM}`,
    [dataset, epoch, leaseSeconds, oldestWaiting],
  );
  return rows[0] ? streamOf(rows[0]) : null;
}

/** Where the stream begins, or continues behind what was lost; not for ranges, which move it with their job. */
export async function setPosition(
  client: SqlClient,
  { dataset, epoch }: StreamClaim,
  position: StreamPosition,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.stream SET position = $3, skip_lost = false WHERE ${HELD}`,
    [dataset, epoch, position],
  );
  return rowCount === 1;
}

/** Of a draining stream. */
export async function setDrainTo(
  client: SqlClient,
  { dataset, epoch }: StreamClaim,
  target: StreamPosition,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.stream SET drain_to = $3 WHERE ${HELD} AND state = 'draining'`,
    [dataset, epoch, target],
  );
  return rowCount === 1;
}

/**
 * Says in the row what the stream waits for; declared again with the same code it keeps its `since`.
 * @param wait null: for nothing any more
 */
export async function declareStreamWait(
  client: SqlClient,
  dataset: string,
  wait: { readonly code: StreamWaitCode; readonly message: string } | null,
): Promise<void> {
  if (wait === null) {
    await client.query('UPDATE sluice.stream SET wait = NULL WHERE dataset = $1 AND wait IS NOT NULL', [
      dataset,
    ]);
    return;
  }
  await client.query(
    `UPDATE sluice.stream SET wait = jsonb_build_object('code', $2::text, 'message', $3::text,
       'since', CASE WHEN wait->>'code' = $2 THEN wait->'since' ELSE to_jsonb(now()) END)
     WHERE dataset = $1 AND state = ANY($4) AND (wait IS NULL OR wait->>'code' <> $2 OR wait->>'message' <> $3)`,
    [dataset, wait.code, wait.message, ATTENDED_STATES],
  );
}

/** `stand`: the stream pauses itself, and releases the claim. */
export async function standStream(
  client: SqlClient,
  { dataset, epoch }: StreamClaim,
  reason: Exclude<StreamPauseReason, 'operator'>,
  detail: StreamPauseDetail,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.stream SET ${streamEntering('stand')}, reason = $3, detail = $4, ${NO_OWNER}
     WHERE ${HELD} AND ${streamComingFrom('stand')}`,
    [dataset, epoch, reason, detail],
  );
  return rowCount === 1;
}

/**
 * `stop`: drained; releases the claim.
 * @param drainTo what was drained: another order to drain since has another end
 */
export async function stopStream(
  client: SqlClient,
  { dataset, epoch }: StreamClaim,
  drainTo: StreamPosition,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.stream SET ${streamEntering('stop')}, drain_to = NULL, oldest_waiting = NULL, ${NO_OWNER}
     WHERE ${HELD} AND ${streamComingFrom('stop')} AND drain_to = $3::jsonb`,
    [dataset, epoch, drainTo],
  );
  return rowCount === 1;
}

/** Releases the stream: the next ingestor need not wait for the lease to run out. */
export async function releaseStream(client: SqlClient, { dataset, epoch }: StreamClaim): Promise<void> {
  await client.query(`UPDATE sluice.stream SET ${NO_OWNER} WHERE ${HELD}`, [dataset, epoch]);
}
