import { SluiceError } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { MessageFacts } from '../message/message-facts.js';
import type { DeadLetterCondition } from './dead-letter-selection.js';
import type { DeadLetterKey } from './dead-letter-sums.js';
import type { KeptDeadLetter, OriginJob, RecordEdit } from './record-to-send.js';

/**
 * The rows of a resubmission: open dead letters by the age of the job that refused them last and in the order of its records, locked, read with
 * everything that sending them needs, and marked.
 *
 * - LQ1: a dead letter is sent only when its job has ended for good. A job that can still be resumed, or begin again, may load
 *   the record itself; one of a repair job that did not succeed is not the last word about its record, which is open again.
 * - LQ2: what is read was committed before the lock was taken or after it, never an older correction: it is read by a
 *   statement of its own.
 * - LQ3: rows are locked a page at a time, and read MAX_BYTES and one dead letter at a time at most (G9).
 */
export interface LockedDeadLetter extends DeadLetterKey {
  readonly stage: string;
  readonly group: string | null;
}

/** One of a page, whole. */
export interface LetterToSend extends LockedDeadLetter {
  readonly letter: KeptDeadLetter;
  /** Null when the row of its job is gone. */
  readonly origin: OriginJob | null;
  readonly edit: RecordEdit | null;
}

export const PAGE_DEAD_LETTERS = 2_000;
/** Of records and of what their messages said. */
const MAX_BYTES = 2 * 1024 * 1024;
/** What is known of that number of lists of columns, and of jobs, is kept from page to page. */
const MAX_KEPT = 1_000;

/** WHERE, of `letter` (LQ1). A job whose row is gone has ended. */
const MAY_STILL_CHANGE = `EXISTS (SELECT FROM sluice.job AS origin WHERE origin.id = letter.job
  AND (origin.state NOT IN ('succeeded', 'failed', 'cancelled') OR origin.state = 'failed' AND origin.resumable
    OR origin.repair IS NOT NULL AND origin.state <> 'succeeded'))`;

function open({ where }: DeadLetterCondition): string {
  return `letter.state = 'open' AND (${where})`;
}

/** The datasets of open dead letters, by name. */
export async function datasetsOf(client: SqlClient, condition: DeadLetterCondition): Promise<string[]> {
  const { rows } = await client.query<{ dataset: string }>(
    `SELECT DISTINCT letter.dataset FROM sluice.dead_letter AS letter WHERE ${open(condition)} ORDER BY 1`,
    [...condition.parameters],
  );
  return rows.map(({ dataset }) => dataset);
}

/** How many there are, and one of them; null when there is none. */
export interface CountedDeadLetters {
  readonly count: number;
  readonly example: string | null;
}

/** The open ones of a dataset whose jobs have ended for good: the others are counted by `countUndecided`. */
export function countOpen(
  client: SqlClient,
  condition: DeadLetterCondition,
  dataset: string,
): Promise<CountedDeadLetters> {
  const { where, parameters } = behind(condition, dataset, null);
  return countOf(client, `${open({ where, parameters })} AND NOT ${MAY_STILL_CHANGE}`, parameters);
}

/** Open ones that are left alone because of their jobs (LQ1). */
export function countUndecided(
  client: SqlClient,
  condition: DeadLetterCondition,
): Promise<CountedDeadLetters> {
  return countOf(client, `${open(condition)} AND ${MAY_STILL_CHANGE}`, condition.parameters);
}

async function countOf(
  client: SqlClient,
  where: string,
  parameters: readonly unknown[],
): Promise<CountedDeadLetters> {
  const { rows } = await client.query<CountedDeadLetters>(
    `SELECT count(*)::integer AS count, min(letter.job || ':' || letter.record) AS example
       FROM sluice.dead_letter AS letter WHERE ${where}`,
    [...parameters],
  );
  return rows[0] ?? { count: 0, example: null };
}

/** A condition with the dataset and, where given, the place behind which it begins. */
function behind(
  { where, parameters }: DeadLetterCondition,
  dataset: string,
  after: DeadLetterKey | null,
): DeadLetterCondition {
  const values = [...parameters];
  const next = (value: unknown): string => `$${values.push(value)}`;
  const place =
    after === null
      ? ''
      : ` AND (letter.job, letter.record) > (${next(after.job)}::uuid, ${next(after.record)}::bigint)`;
  return { where: `(${where}) AND letter.dataset = ${next(dataset)}${place}`, parameters: values };
}

interface KeyRow {
  readonly job: string;
  readonly record: string;
  readonly stage: string;
  readonly group: string | null;
}

/**
 * The next page.
 * @param lock FOR UPDATE, in the order of the keys; another session that holds one of them is waited for
 * @returns none at the end only
 */
export async function nextPage(
  client: SqlClient,
  condition: DeadLetterCondition,
  dataset: string,
  after: DeadLetterKey | null,
  lock: boolean,
): Promise<LockedDeadLetter[]> {
  const { where, parameters } = behind(condition, dataset, after);
  const eligible = `letter.state = 'open' AND ${where} AND NOT ${MAY_STILL_CHANGE}`;
  for (;;) {
    const { rows } = await client.query<KeyRow>(
      `SELECT letter.job, letter.record, letter.stage, letter.group_id AS group
         FROM sluice.dead_letter AS letter WHERE ${eligible}
        ORDER BY letter.job, letter.record LIMIT ${PAGE_DEAD_LETTERS} ${lock ? 'FOR UPDATE OF letter' : ''}`,
      [...parameters],
    );
    if (rows.length > 0) return rows.map((row) => ({ ...row, record: Number(row.record) }));
    // A page of rows that another session has decided about meanwhile is empty, and others may stand behind it.
    const { rowCount } = await client.query(
      `SELECT FROM sluice.dead_letter AS letter WHERE ${eligible} LIMIT 1`,
      [...parameters],
    );
    if (rowCount === 0) return [];
  }
}

interface LetterRow {
  readonly place: string;
  readonly codes: string[];
  readonly attempt: string;
  readonly byte_start: string;
  readonly byte_end: string;
  readonly columns_id: string;
  readonly message: MessageFacts | null;
  readonly bytes: Buffer;
  readonly edit_bytes: Buffer | null;
  readonly edit_columns: string[] | null;
}

/** Reads pages; what dead letters have in common is read once. */
export class LettersToSend {
  private readonly lists = new Map<string, readonly string[]>();
  private readonly jobs = new Map<string, OriginJob | null>();

  /** A page, portion by portion (LQ3). */
  async *read(client: SqlClient, page: readonly LockedDeadLetter[]): AsyncGenerator<LetterToSend[]> {
    for (let at = 0; at < page.length;) {
      const rest = page.slice(at);
      const rows = await this.readPortion(client, rest);
      await this.readLists(client, rows);
      await this.readJobs(client, rest.slice(0, rows.length));
      const portion = rows.map((row, place) => this.letterOf(row, rest[place]));
      if (portion.length === 0)
        throw new SluiceError('INTERNAL', `${rest.length} dead letters are gone that were found before.`);
      yield portion;
      at += portion.length;
    }
  }

  private async readPortion(client: SqlClient, page: readonly LockedDeadLetter[]): Promise<LetterRow[]> {
    const { rows } = await client.query<LetterRow>(
      `WITH asked AS (
         SELECT * FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS asked (job, record, place)
       ), sized AS (
         SELECT asked.*, octet_length(coalesce(edit.bytes, letter.bytes)) + coalesce(pg_column_size(letter.message), 0) AS size
           FROM asked JOIN sluice.dead_letter AS letter USING (job, record)
           LEFT JOIN sluice.dead_letter_edit AS edit USING (job, record)
       ), bounded AS (
         SELECT *, sum(size) OVER (ORDER BY place) - size AS before FROM sized
       )
       SELECT bounded.place, letter.codes, letter.attempt, letter.byte_start, letter.byte_end, letter.columns_id,
              letter.message, letter.bytes, edit.bytes AS edit_bytes, edit.columns AS edit_columns
         FROM bounded JOIN sluice.dead_letter AS letter USING (job, record)
         LEFT JOIN sluice.dead_letter_edit AS edit USING (job, record)
        WHERE bounded.before < ${MAX_BYTES} ORDER BY bounded.place`,
      [page.map(({ job }) => job), page.map(({ record }) => record)],
    );
    const wrong = rows.findIndex(({ place }, at) => Number(place) !== at + 1);
    return wrong === -1 ? rows : rows.slice(0, wrong);
  }

  private async readLists(client: SqlClient, rows: readonly LetterRow[]): Promise<void> {
    const ids = [...new Set(rows.map(({ columns_id }) => columns_id))];
    if (ids.every((id) => this.lists.has(id))) return;
    if (this.lists.size > MAX_KEPT) this.lists.clear();
    const { rows: lists } = await client.query<{ id: string; names: string[] }>(
      'SELECT id, names FROM sluice.letter_columns WHERE id = ANY($1::uuid[])',
      [ids.filter((id) => !this.lists.has(id))],
    );
    for (const { id, names } of lists) this.lists.set(id, names);
  }

  private async readJobs(client: SqlClient, page: readonly LockedDeadLetter[]): Promise<void> {
    const ids = [...new Set(page.map(({ job }) => job))];
    if (ids.every((id) => this.jobs.has(id))) return;
    if (this.jobs.size > MAX_KEPT) this.jobs.clear();
    const missing = ids.filter((id) => !this.jobs.has(id));
    const { rows } = await client.query<OriginJob & { readonly id: string }>(
      `SELECT id, head -> 'context' AS context, contract_version AS "contractVersion", dry_run AS "dryRun"
         FROM sluice.job WHERE id = ANY($1::uuid[])
       UNION ALL SELECT id, context, contract_version, false FROM sluice.pruned_job WHERE id = ANY($1::uuid[])`,
      [missing],
    );
    for (const id of missing) this.jobs.set(id, null);
    for (const { id, ...origin } of rows) this.jobs.set(id, origin);
  }

  private letterOf(row: LetterRow, locked: LockedDeadLetter | undefined): LetterToSend {
    if (locked === undefined)
      throw new SluiceError('INTERNAL', 'A dead letter was read that was not asked for.');
    return {
      ...locked,
      letter: {
        ...{ bytes: row.bytes, byteStart: Number(row.byte_start), byteEnd: Number(row.byte_end) },
        ...{ columns: this.lists.get(row.columns_id) ?? [], codes: row.codes },
        ...{ attempt: Number(row.attempt), message: row.message },
      },
      origin: this.jobs.get(locked.job) ?? null,
      edit: row.edit_bytes === null ? null : { bytes: row.edit_bytes, columns: row.edit_columns },
    };
  }
}

/**
 * Marks locked dead letters: `first` and the numbers behind it are those of their records in the repair job. Their counts are
 * the caller's to change (`countMoves`).
 */
export async function markResubmitted(
  client: SqlClient,
  letters: readonly DeadLetterKey[],
  job: string,
  first: number,
): Promise<void> {
  const { rowCount } = await client.query(
    `UPDATE sluice.dead_letter AS letter
        SET state = 'resubmitted', reason = NULL, successor_job = $1, successor_record = $2::bigint + sent.place - 1
       FROM unnest($3::uuid[], $4::bigint[]) WITH ORDINALITY AS sent (job, record, place)
      WHERE letter.job = sent.job AND letter.record = sent.record AND letter.state = 'open'`,
    [job, first, letters.map((letter) => letter.job), letters.map(({ record }) => record)],
  );
  if (rowCount !== letters.length)
    throw new SluiceError(
      'INTERNAL',
      `Of ${letters.length} dead letters that were sent ${rowCount ?? 0} are open.`,
    );
}
