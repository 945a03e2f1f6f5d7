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
 * - LQ3: rows are locked a page at a time, and read MAX_BYTES or one dead letter at a time at most (G9).
 * - LQ4: a page costs the same wherever it stands: each of its statements finds its rows by an index (`BY_INDEX`).
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

/** Few enough for their objects to be gone before the collector moves them to where only its slow pass finds them. */
export const PAGE_DEAD_LETTERS = 1_000;
/** Of records and of what their messages said. */
const MAX_BYTES = 2 * 1024 * 1024;
/** What is known of that number of lists of columns, and of jobs, is kept from page to page. */
const MAX_KEPT = 1_000;

/**
 * LQ1: jobs whose dead letters are left alone; one whose row is gone has ended. The condition is that of the index `job_undecided`.
 * The planner takes it as a filter. As a join it would expect one row of a page, and read and sort all that stand behind it.
 */
const UNDECIDED = `(SELECT origin.id FROM sluice.job AS origin
  WHERE origin.state NOT IN ('succeeded', 'failed', 'cancelled') OR origin.state = 'failed' AND origin.resumable
    OR origin.repair IS NOT NULL AND origin.state <> 'succeeded')`;

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
  return countOf(client, `${open({ where, parameters })} AND letter.job NOT IN ${UNDECIDED}`, parameters);
}

/** Open ones that are left alone because of their jobs (LQ1). */
export function countUndecided(
  client: SqlClient,
  condition: DeadLetterCondition,
): Promise<CountedDeadLetters> {
  return countOf(client, `${open(condition)} AND letter.job IN ${UNDECIDED}`, condition.parameters);
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
  readonly bytes: number;
}

/** One of a page, with the bytes that reading it takes. */
interface FoundDeadLetter extends LockedDeadLetter {
  readonly bytes: number;
}

/** Which dead letters of a dataset are walked over. */
export interface Walk {
  readonly condition: DeadLetterCondition;
  readonly dataset: string;
  /** Where it begins; null: at the first one. */
  readonly after: DeadLetterKey | null;
  /** FOR UPDATE, in the order of the keys; another session that holds one of them is waited for. */
  readonly lock: boolean;
}

/** @returns none at the end only */
async function nextPage(
  client: SqlClient,
  { condition, dataset, lock }: Walk,
  after: DeadLetterKey | null,
): Promise<FoundDeadLetter[]> {
  const { where, parameters } = behind(condition, dataset, after);
  const eligible = `letter.state = 'open' AND ${where} AND letter.job NOT IN ${UNDECIDED}`;
  for (;;) {
    const { rows } = await client.query<KeyRow>(
      `SELECT letter.job, letter.record, letter.stage, letter.group_id AS group,
              octet_length(letter.bytes) + coalesce(pg_column_size(letter.message), 0) AS bytes
         FROM sluice.dead_letter AS letter WHERE ${eligible}
        ORDER BY letter.job, letter.record LIMIT ${PAGE_DEAD_LETTERS} ${lock ? 'FOR UPDATE OF letter' : ''}`,
      [...parameters],
    );
    if (rows.length > 0)
      return rows.map(({ job, record, stage, group, bytes }) => ({
        job,
        record: Number(record),
        stage,
        group,
        bytes,
      }));
    // A page of rows that another session has decided about meanwhile is empty, and others may stand behind it.
    const { rowCount } = await client.query(
      `SELECT FROM sluice.dead_letter AS letter WHERE ${eligible} LIMIT 1`,
      [...parameters],
    );
    if (rowCount === 0) return [];
  }
}

/** LQ2: with the bytes of corrections, where there are some. */
async function withCorrections(
  client: SqlClient,
  page: readonly FoundDeadLetter[],
): Promise<FoundDeadLetter[]> {
  const { rows } = await client.query<{ place: string; bytes: number }>(
    `SELECT asked.place, octet_length(edit.bytes) AS bytes
       FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS asked (job, record, place)
       JOIN sluice.dead_letter_edit AS edit USING (job, record)`,
    keysOf(page),
  );
  const corrections = new Map(rows.map(({ place, bytes }) => [Number(place) - 1, bytes]));
  return page.map((letter, at) => ({ ...letter, bytes: letter.bytes + (corrections.get(at) ?? 0) }));
}

/** LQ3 */
function* portionsOf(page: readonly FoundDeadLetter[]): Generator<FoundDeadLetter[]> {
  let portion: FoundDeadLetter[] = [];
  let sum = 0;
  for (const letter of page) {
    if (portion.length > 0 && sum + letter.bytes > MAX_BYTES) {
      yield portion;
      portion = [];
      sum = 0;
    }
    portion.push(letter);
    sum += letter.bytes;
  }
  if (portion.length > 0) yield portion;
}

function keysOf(letters: readonly DeadLetterKey[]): [string[], number[]] {
  return [letters.map(({ job }) => job), letters.map(({ record }) => record)];
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

  /**
   * Portion by portion (LQ3), none of them empty. One that is gone by the time it is read is left out; locked ones stay.
   * @param client in a transaction with `BY_INDEX`
   */
  async *walk(client: SqlClient, walk: Walk): AsyncGenerator<readonly LetterToSend[], void> {
    for (let place = walk.after; ;) {
      const page = await nextPage(client, walk, place);
      const last = page.at(-1);
      if (last === undefined) return;
      for (const portion of portionsOf(await withCorrections(client, page))) {
        const letters = await this.readPortion(client, portion);
        if (letters.length > 0) yield letters;
      }
      place = last;
    }
  }

  private async readPortion(client: SqlClient, portion: readonly FoundDeadLetter[]): Promise<LetterToSend[]> {
    const { rows } = await client.query<LetterRow>(
      `SELECT asked.place, letter.codes, letter.attempt, letter.byte_start, letter.byte_end, letter.columns_id,
              letter.message, letter.bytes, edit.bytes AS edit_bytes, edit.columns AS edit_columns
         FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS asked (job, record, place)
         JOIN sluice.dead_letter AS letter USING (job, record)
         LEFT JOIN sluice.dead_letter_edit AS edit USING (job, record)
        ORDER BY asked.place`,
      keysOf(portion),
    );
    await this.readLists(client, rows);
    await this.readJobs(client, portion);
    return rows.map((row) => this.letterOf(row, portion[Number(row.place) - 1]));
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

  private letterOf(row: LetterRow, found: FoundDeadLetter | undefined): LetterToSend {
    if (found === undefined)
      throw new SluiceError('INTERNAL', 'A dead letter was read that was not asked for.');
    // Plain members: to spread them costs as much as all the rest, half a million times.
    return {
      job: found.job,
      record: found.record,
      stage: found.stage,
      group: found.group,
      letter: {
        bytes: row.bytes,
        byteStart: Number(row.byte_start),
        byteEnd: Number(row.byte_end),
        columns: this.lists.get(row.columns_id) ?? [],
        codes: row.codes,
        attempt: Number(row.attempt),
        message: row.message,
      },
      origin: this.jobs.get(found.job) ?? null,
      edit: row.edit_bytes === null ? null : { bytes: row.edit_bytes, columns: row.edit_columns },
    };
  }
}

/**
 * Marks locked dead letters: `first` and the numbers behind it are those of their records in the repair job. Their counts are
 * the caller's to change (`countMoves`).
 * @param client in a transaction with `BY_INDEX`
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
    [job, first, ...keysOf(letters)],
  );
  if (rowCount !== letters.length)
    throw new SluiceError(
      'INTERNAL',
      `Of ${letters.length} dead letters that were sent ${rowCount ?? 0} are open.`,
    );
}
