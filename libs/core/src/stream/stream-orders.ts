import type { StreamSettings, StreamStartRequest } from '#api/streams.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { SELECTED_STREAM, streamOf } from './read-stream.js';
import { streamComingFrom, streamEntering } from './stream-state.js';
import type { Stream } from './stream.entity.js';

/** What an operator asks for; each returns null when the stream is in a state that does not allow it (SS1). */

/** The epoch fences the ingestor that holds it: it notices with its next statement. */
const RELEASED = 'owner = NULL, lease_until = NULL, epoch = epoch + 1';

/** `start`: the first one makes the row. @param settings those that are given replace the stream's */
export async function startStream(
  client: SqlClient,
  dataset: string,
  settings: StreamStartRequest,
  defaults: StreamSettings,
  contractVersion: number,
): Promise<Stream | null> {
  await client.query(
    `INSERT INTO sluice.stream (dataset, state, max_records, max_bytes, max_ms, contract_version)
     VALUES ($1, 'stopped', $2, $3, $4, $5) ON CONFLICT (dataset) DO NOTHING`,
    [dataset, defaults.maxRecords, defaults.maxBytes, defaults.maxMs, contractVersion],
  );
  const { maxRecords = null, maxBytes = null, maxMs = null } = settings;
  return one(
    client,
    `UPDATE sluice.stream SET ${streamEntering('start')}, drain_to = NULL,
       judged_from = CASE WHEN state = 'stopped' THEN now() ELSE judged_from END,
       max_records = coalesce($2, max_records), max_bytes = coalesce($3, max_bytes), max_ms = coalesce($4, max_ms)
     WHERE dataset = $1 AND ${streamComingFrom('start')}`,
    [dataset, maxRecords, maxBytes, maxMs],
  );
}

/** `pause`: from the return on no job of the stream begins. */
export async function pauseStream(client: SqlClient, dataset: string): Promise<Stream | null> {
  return one(
    client,
    `UPDATE sluice.stream SET ${streamEntering('pause')}, reason = 'operator', detail = NULL, ${RELEASED}
     WHERE dataset = $1 AND ${streamComingFrom('pause')}`,
    [dataset],
  );
}

/** `resume`; the breaker judges what is created from here on. */
export async function resumeStream(
  client: SqlClient,
  dataset: string,
  skipLost: boolean,
): Promise<Stream | null> {
  return one(
    client,
    `UPDATE sluice.stream SET ${streamEntering('resume')}, drain_to = NULL, judged_from = now(), skip_lost = $2
     WHERE dataset = $1 AND ${streamComingFrom('resume')}`,
    [dataset, skipLost],
  );
}

/** `drain`: an ingestor finds out what is there now. */
export async function drainStream(client: SqlClient, dataset: string): Promise<Stream | null> {
  return one(
    client,
    `UPDATE sluice.stream SET ${streamEntering('drain')}, drain_to = NULL,
       judged_from = CASE WHEN state = 'paused' THEN now() ELSE judged_from END
     WHERE dataset = $1 AND ${streamComingFrom('drain')}`,
    [dataset],
  );
}

async function one(client: SqlClient, statement: string, parameters: unknown[]): Promise<Stream | null> {
  const { rows } = await client.query<Stream>(`${statement} RETURNING ${SELECTED_STREAM}`, parameters);
  return rows[0] ? streamOf(rows[0]) : null;
}
