import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { CleanMessage } from '../message/clean-message.js';
import type { LoadRefusal } from './ledger.entity.js';

/**
 * Writes the ledger rows of the given batches, in batch order so that two loaders cannot deadlock. `table_rows` is what
 * the batches say of themselves: the code that COPYs them proves it, and corrects it for refused records (`recordTableRows`).
 * @returns the batches whose rows are new; the others were loaded before
 */
export async function insertLedgerRows(
  client: SqlClient,
  batches: readonly CleanMessage[],
): Promise<Set<number>> {
  const ordered = [...batches].sort((a, b) => a.batch - b.batch);
  const column = (value: (batch: CleanMessage) => unknown): unknown[] => ordered.map(value);
  const { rows } = await prepared(client).query<{ batch: string }>(
    `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c,
       accepted, refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset, table_rows)
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $6::bigint[], $7::bigint[],
       $8::bigint[], $9::int[], $10::int[], $11::int[], $12::int[], $13::jsonb[], $14::text[], $15::int[], $16::bigint[], $17::jsonb[])
     ON CONFLICT (job, batch) DO NOTHING
     RETURNING batch`,
    [
      column(({ job }) => job),
      column(({ batch }) => batch),
      column(({ firstRecord }) => firstRecord),
      column(({ firstLine }) => firstLine),
      column(({ counts }) => counts.records),
      column(({ byteStart }) => byteStart),
      column(({ byteEnd }) => byteEnd),
      column(({ crc32c }) => crc32c),
      column(({ counts }) => counts.accepted),
      column(({ counts }) => counts.refused),
      column(({ counts }) => counts.skipped),
      column(({ counts }) => counts.warnings),
      column(({ findings }) => JSON.stringify(findings)),
      column(({ raw }) => raw.topic),
      column(({ raw }) => raw.partition),
      column(({ raw }) => raw.offset),
      column(({ sections }) => JSON.stringify(rowsByTable(sections))),
    ],
  );
  return new Set(rows.map(({ batch }) => Number(batch)));
}

/** Table → rows, as the sections say. */
export function rowsByTable(sections: CleanMessage['sections']): Record<string, number> {
  const rows: Record<string, number> = {};
  for (const section of sections) rows[section.table] = (rows[section.table] ?? 0) + section.rows;
  return rows;
}

/** Corrects what a batch has brought by table, when the database has refused some of its records. */
export async function recordTableRows(
  client: SqlClient,
  job: string,
  batch: number,
  tableRows: Readonly<Record<string, number>>,
): Promise<void> {
  await client.query('UPDATE sluice.ledger SET table_rows = $3 WHERE job = $1 AND batch = $2', [
    job,
    batch,
    JSON.stringify(tableRows),
  ]);
}

/** Puts refusals of the load stage into the batch's outbox; they are announced after COMMIT. */
export async function recordRefusals(
  client: SqlClient,
  job: string,
  batch: number,
  refusals: readonly LoadRefusal[],
): Promise<void> {
  await client.query(
    `UPDATE sluice.ledger SET load_refusals = load_refusals || $3::jsonb, refusals_announced = false
     WHERE job = $1 AND batch = $2`,
    [job, batch, JSON.stringify(refusals)],
  );
}

/** A batch with refusals that still have to be announced, and where its raw message stands. */
export interface UnannouncedBatch {
  readonly dataset: string;
  readonly job: string;
  readonly batch: number;
  /** The job's present one. */
  readonly epoch: number;
  readonly firstLine: number;
  readonly byteStart: number;
  readonly byteEnd: number;
  /** CRC-32C of the raw batch that was loaded. */
  readonly crc32c: number;
  readonly refusalCount: number;
  /** Null when there are many: {@link refusalsOf} gives them page by page. */
  readonly refusals: readonly LoadRefusal[] | null;
  readonly rawTopic: string;
  readonly rawPartition: number;
  readonly rawOffset: string;
}

/** Of a batch with more refusals than this none are read with it: `unannouncedBatches` stays small (G9). */
const MANY_REFUSALS = 64;

/** The first batches of the job, up to a number of them, that have refusals to be announced. */
export async function unannouncedBatches(
  client: SqlClient,
  job: string,
  limit: number,
): Promise<UnannouncedBatch[]> {
  const { rows } = await client.query<{
    dataset: string;
    batch: string;
    epoch: number;
    first_line: string;
    byte_start: string;
    byte_end: string;
    crc32c: string;
    count: number;
    refusals: LoadRefusal[] | null;
    raw_topic: string;
    raw_partition: number;
    raw_offset: string;
  }>(
    `SELECT dataset, batch, epoch, first_line, byte_start, byte_end, crc32c, raw_topic, raw_partition, raw_offset,
       jsonb_array_length(load_refusals) AS count,
       CASE WHEN jsonb_array_length(load_refusals) <= ${MANY_REFUSALS} THEN load_refusals END AS refusals
     FROM sluice.ledger JOIN sluice.job ON job.id = ledger.job
     WHERE ledger.job = $1 AND NOT refusals_announced ORDER BY batch LIMIT $2`,
    [job, limit],
  );
  return rows.map((row) => ({
    dataset: row.dataset,
    job,
    batch: Number(row.batch),
    epoch: row.epoch,
    firstLine: Number(row.first_line),
    byteStart: Number(row.byte_start),
    byteEnd: Number(row.byte_end),
    crc32c: Number(row.crc32c),
    refusalCount: row.count,
    refusals: row.refusals,
    rawTopic: row.raw_topic,
    rawPartition: row.raw_partition,
    rawOffset: row.raw_offset,
  }));
}

/** Refusals `from` to before `to` of a batch's outbox, in the order in which they were recorded. */
export async function refusalsOf(
  client: SqlClient,
  { job, batch }: UnannouncedBatch,
  from: number,
  to: number,
): Promise<LoadRefusal[]> {
  const { rows } = await client.query<{ refusal: LoadRefusal }>(
    `SELECT refusal FROM sluice.ledger,
       jsonb_array_elements(load_refusals) WITH ORDINALITY AS recorded (refusal, number)
     WHERE job = $1 AND batch = $2 AND number > $3 AND number <= $4 ORDER BY number`,
    [job, batch, from, to],
  );
  return rows.map(({ refusal }) => refusal);
}

/** Marks the outboxes of these batches as announced, but for those to which refusals were added since they were read. */
export async function markAnnounced(
  client: SqlClient,
  job: string,
  batches: readonly UnannouncedBatch[],
): Promise<void> {
  await client.query(
    `UPDATE sluice.ledger SET refusals_announced = true
     FROM unnest($2::bigint[], $3::int[]) AS told (batch, refusals)
     WHERE job = $1 AND ledger.batch = told.batch AND jsonb_array_length(load_refusals) = told.refusals`,
    [job, batches.map(({ batch }) => batch), batches.map(({ refusalCount }) => refusalCount)],
  );
}
