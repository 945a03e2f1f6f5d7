import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Finding } from '../finding/finding.js';
import type { MessageFacts } from '../message/message-facts.js';
import type { DeadLetterCondition } from './dead-letter-selection.js';
import type { DeadLetterKey } from './dead-letter-sums.js';
import type { KeptDeadLetter, OriginJob, RecordEdit } from './record-to-send.js';

/**
 * Open dead letters with everything that sending them again needs, page by page, by the age of their job and in the order of
 * its records.
 *
 * - OP1: a page has MAX_PAGE_BYTES and one dead letter at most, and PAGE_DEAD_LETTERS of them, whatever they hold (G9).
 * - OP2: dead letters with the same columns share one list of names, the same object.
 * - OP3: of locked ones the correction is the latest: it is read by a statement of its own, after the lock. One statement
 *   that waits for a lock reads what it joins as it was before it waited.
 */
export interface OpenDeadLetter extends KeptDeadLetter, DeadLetterKey {
  /** `<job>:<record>` */
  readonly id: string;
  readonly dataset: string;
  readonly line: number;
  readonly findings: readonly Finding[];
  /** Null when the row of its job is gone. */
  readonly origin: OriginJob | null;
  readonly edit: (RecordEdit & { readonly action: string }) | null;
}

export const PAGE_DEAD_LETTERS = 500;
export const MAX_PAGE_BYTES = 1024 * 1024;
/** A file's header has 64 KiB at most. */
const MAX_KEPT_LISTS = 64;

export interface PageOptions {
  readonly after: DeadLetterKey | null;
  /** Locks the rows in the order of their keys: no other transaction decides about them until this one ends. */
  readonly lock?: boolean;
  readonly limit?: number;
}

/** The bytes that are sent: those of the correction, where there is one. */
export function currentBytes({ bytes, edit }: Pick<OpenDeadLetter, 'bytes' | 'edit'>): Buffer {
  return edit?.bytes ?? bytes;
}

export function currentColumns({
  columns,
  edit,
}: Pick<OpenDeadLetter, 'columns' | 'edit'>): readonly string[] {
  return edit?.columns ?? columns;
}

/** Keeps lists of columns; one object for a walk over many pages. */
export class OpenDeadLetters {
  private readonly lists = new Map<string, readonly string[]>();

  /** @returns the next dead letters behind `after`; none at the end */
  async page(
    client: SqlClient,
    { where, parameters }: DeadLetterCondition,
    { after, lock = false, limit = PAGE_DEAD_LETTERS }: PageOptions,
  ): Promise<OpenDeadLetter[]> {
    const values = [...parameters];
    const next = (value: unknown): string => `$${values.push(value)}`;
    const behind =
      after === null
        ? ''
        : `AND (letter.job, letter.record) > (${next(after.job)}::uuid, ${next(after.record)}::bigint)`;
    const keys = `SELECT letter.job, letter.record FROM sluice.dead_letter AS letter
      WHERE letter.state = 'open' AND (${where}) ${behind}
      ORDER BY letter.job, letter.record LIMIT ${next(limit)}`;
    const rows = lock ? await lockedRows(client, keys, values) : await rowsOf(client, keys, values);
    await this.readLists(client, rows);
    return rows.map((row) => this.letterOf(row));
  }

  private async readLists(client: SqlClient, rows: readonly Row[]): Promise<void> {
    const missing = [...new Set(rows.map(({ columns_id }) => columns_id))].filter(
      (id) => !this.lists.has(id),
    );
    if (missing.length === 0) return;
    if (this.lists.size + missing.length > MAX_KEPT_LISTS) this.lists.clear();
    const wanted = [...new Set(rows.map(({ columns_id }) => columns_id))].filter((id) => !this.lists.has(id));
    const { rows: lists } = await client.query<{ id: string; names: string[] }>(
      'SELECT id, names FROM sluice.letter_columns WHERE id = ANY($1::uuid[])',
      [wanted],
    );
    for (const { id, names } of lists) this.lists.set(id, names);
  }

  private letterOf(row: Row): OpenDeadLetter {
    const { job, record, contract_version: contractVersion, context, edit_bytes, edit_columns } = row;
    return {
      ...{
        id: `${job}:${record}`,
        job,
        record: Number(record),
        dataset: row.dataset,
        line: Number(row.line),
      },
      ...{ byteStart: Number(row.byte_start), byteEnd: Number(row.byte_end), bytes: row.bytes },
      ...{ codes: row.codes, findings: row.findings, attempt: Number(row.attempt), message: row.message },
      columns: this.lists.get(row.columns_id) ?? NO_COLUMNS,
      origin: contractVersion === null ? null : { contractVersion, context, dryRun: row.dry_run },
      edit:
        edit_bytes === null || row.edit_action === null
          ? null
          : { bytes: edit_bytes, columns: edit_columns, action: row.edit_action },
    };
  }
}

const NO_COLUMNS: readonly string[] = [];

/** OP3. An empty page is the end only when nothing is open behind it: another request may have decided about all it had. */
async function lockedRows(client: SqlClient, keys: string, values: readonly unknown[]): Promise<Row[]> {
  for (;;) {
    const { rows: locked } = await client.query<{ job: string; record: string }>(`${keys} FOR UPDATE`, [
      ...values,
    ]);
    if (locked.length > 0)
      return rowsOf(client, 'SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS locked (job, record)', [
        locked.map(({ job }) => job),
        locked.map(({ record }) => record),
      ]);
    const { rowCount } = await client.query(keys, [...values]);
    if (rowCount === 0) return [];
  }
}

/** @param keys a query for `job` and `record` */
async function rowsOf(client: SqlClient, keys: string, values: readonly unknown[]): Promise<Row[]> {
  const { rows } = await client.query<Row>(
    `WITH chosen AS MATERIALIZED (${keys}), sized AS (
       SELECT letter.*, edit.bytes AS edit_bytes, edit.columns AS edit_columns, edit.action AS edit_action,
              octet_length(letter.bytes)::bigint + coalesce(octet_length(edit.bytes), 0)
                + octet_length(letter.findings::text) + coalesce(octet_length(letter.message::text), 0) AS size
         FROM chosen JOIN sluice.dead_letter AS letter USING (job, record)
         LEFT JOIN sluice.dead_letter_edit AS edit USING (job, record)
     ), summed AS (
       SELECT *, sum(size) OVER (ORDER BY job, record) - size AS before FROM sized
     )
     SELECT letter.job, letter.record, letter.dataset, letter.line, letter.byte_start, letter.byte_end, letter.codes,
            letter.findings, letter.attempt, letter.columns_id, letter.message, letter.bytes,
            letter.edit_bytes, letter.edit_columns, letter.edit_action,
            coalesce(job.contract_version, pruned.contract_version) AS contract_version,
            coalesce(job.head -> 'context', pruned.context) AS context, coalesce(job.dry_run, false) AS dry_run
       FROM summed AS letter LEFT JOIN sluice.job AS job ON job.id = letter.job
       LEFT JOIN sluice.pruned_job AS pruned ON pruned.id = letter.job
      WHERE letter.before < ${MAX_PAGE_BYTES} ORDER BY letter.job, letter.record`,
    [...values],
  );
  return rows;
}

interface Row {
  readonly job: string;
  readonly record: string;
  readonly dataset: string;
  readonly line: string;
  readonly byte_start: string;
  readonly byte_end: string;
  readonly codes: string[];
  readonly findings: Finding[];
  readonly attempt: string;
  readonly columns_id: string;
  readonly message: MessageFacts | null;
  readonly bytes: Buffer;
  readonly edit_bytes: Buffer | null;
  readonly edit_columns: string[] | null;
  readonly edit_action: string | null;
  readonly contract_version: number | null;
  readonly context: Readonly<Record<string, string>> | null;
  readonly dry_run: boolean;
}
