import type { SqlClient } from '#common/postgres/sql-client.js';

/** Records of one batch of an earlier job, by their numbers in that job. */
export interface ChosenOfBatch {
  readonly batch: number;
  readonly records: readonly number[];
}

/** A batch has up to a million records: some of them are read at a time (G9). */
const BATCHES_A_PAGE = 8;

/**
 * The records that a job of a replay takes of its origin, as they were pinned when the replay began, by batch.
 * @returns null: all of them
 */
export async function chosenRecordsOf(
  client: SqlClient,
  job: string,
): Promise<AsyncGenerator<ChosenOfBatch> | null> {
  const { rows } = await client.query<{ replay: string; position: number; chosen: boolean }>(
    'SELECT replay, position, chosen FROM sluice.replay_job WHERE job = $1',
    [job],
  );
  const [row] = rows;
  return row?.chosen === true ? pages(client, row) : null;
}

async function* pages(
  client: SqlClient,
  { replay, position }: { readonly replay: string; readonly position: number },
): AsyncGenerator<ChosenOfBatch> {
  for (let behind = -1; ;) {
    const { rows } = await client.query<{ batch: string; records: string[] }>(
      `SELECT batch, records FROM sluice.replay_record
       WHERE replay = $1 AND position = $2 AND batch > $3 ORDER BY batch LIMIT $4`,
      [replay, position, behind, BATCHES_A_PAGE],
    );
    for (const { batch, records } of rows) yield { batch: Number(batch), records: records.map(Number) };
    const last = rows.at(-1);
    if (last === undefined) return;
    behind = Number(last.batch);
  }
}
