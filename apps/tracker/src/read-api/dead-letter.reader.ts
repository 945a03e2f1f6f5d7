import { Injectable } from '@nestjs/common';
import { DataSource, In, type SelectQueryBuilder } from 'typeorm';
import type { DeadLetterEditView, DeadLetterView } from '#api/dead-letters.js';
import type { Page } from '#api/pages.js';
import { DeadLetterColumns } from '../rows/dead-letter-columns.entity.js';
import { DeadLetterGroupRow } from '../rows/dead-letter-group.entity.js';
import { DeadLetterRow } from '../rows/dead-letter.entity.js';
import { LIST_TEXT_BYTES, cutText } from './cut-text.js';
import type { DeadLettersQuery } from './queries.dto.js';

/** A page ends when it would be larger, so that one request cannot fill the memory (G9). */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;
/** With 128 KiB of findings each, these are a page and a half. */
const ROWS_AT_ONCE = 50;
const QUOTES = 3;
const FINDING_FRAME = 60;
const ROW_FRAME = 300;

/** Reads the index of dead letters. */
@Injectable()
export class DeadLetterReader {
  constructor(private readonly database: DataSource) {}

  /**
   * The newest job first (ids are UUIDs v7), and of a job in order of records; bytes are read only as far as a list
   * shows them. A page ends before it would be larger than MAX_PAGE_BYTES, columns and findings included.
   */
  async list({ cursor, limit, ...given }: DeadLettersQuery): Promise<Page<DeadLetterView>> {
    const filters = { ...given, groupsOfCode: await this.groupsOf(given) };
    const items: DeadLetterView[] = [];
    let bytes = 0;
    for (let after = cursor; ;) {
      const wanted = Math.min(ROWS_AT_ONCE, limit + 1 - items.length);
      const letters = await this.read({ ...filters, cursor: after, limit: wanted });
      for (const letter of letters) {
        const view = viewOf(letter, cutText(letter.bytes));
        bytes += viewBytes(view);
        if (items.length === limit || (items.length > 0 && bytes > MAX_PAGE_BYTES))
          return { items, next: items.at(-1)?.id ?? null };
        items.push(view);
      }
      if (letters.length < wanted) return { items, next: null };
      after = items.at(-1)?.id;
    }
  }

  /** Job by job: no index has the jobs in one direction and their records in the other. */
  private async read({ cursor, limit, ...filters }: PageOfFilters): Promise<Letter[]> {
    const letters: Letter[] = [];
    let [job, afterRecord] = cursor?.split(':') ?? [];
    for (;;) {
      if (job !== undefined) {
        const query = filtered(this.letters(`substring(letter.bytes FROM 1 FOR ${LIST_TEXT_BYTES})`), filters)
          .andWhere('letter.job = :ofJob', { ofJob: job })
          .orderBy('letter.record')
          .limit(limit - letters.length);
        if (afterRecord !== undefined)
          query.andWhere('letter.record > :afterRecord::bigint', { afterRecord });
        letters.push(...(await this.readLetters(query)));
      }
      if (letters.length >= limit) return letters;
      job = await this.jobBefore(job, filters);
      if (job === undefined) return letters;
      afterRecord = undefined;
    }
  }

  /** So that a code that few dead letters have is found by an index, and not by reading all of them. */
  private async groupsOf({ code, dataset }: Pick<DeadLettersQuery, 'code' | 'dataset'>): Promise<string[]> {
    if (code === undefined) return [];
    const rows = await this.database.getRepository(DeadLetterGroupRow).find({
      select: { id: true },
      where: dataset === undefined ? { code } : { code, dataset },
    });
    return rows.map(({ id }) => id);
  }

  /** The newest job with such dead letters, of those older than the given one. */
  private async jobBefore(job: string | undefined, filters: Filters): Promise<string | undefined> {
    const query = filtered(
      this.database.getRepository(DeadLetterRow).createQueryBuilder('letter').select('letter.job', 'job'),
      filters,
    );
    if (job !== undefined) query.andWhere('letter.job < :before', { before: job });
    const found = await query.orderBy('letter.job', 'DESC').limit(1).getRawOne<{ job: string }>();
    return found?.job;
  }

  /** With its exact bytes. @returns null when there is none of this id */
  async one(job: string, record: number): Promise<DeadLetterView | null> {
    const query = this.letters('letter.bytes').where('letter.job = :job AND letter.record = :record', {
      job,
      record,
    });
    const [letter] = await this.readLetters(query);
    if (!letter) return null;
    return {
      ...viewOf(letter, letter.bytes.toString()),
      bytesBase64: letter.bytes.toString('base64'),
      edit: await this.editOf(job, record),
    };
  }

  private async editOf(job: string, record: number): Promise<DeadLetterEditView | null> {
    const [row] = await this.database.query<EditRow[]>(
      'SELECT bytes, action, by_whom, at FROM sluice.dead_letter_edit WHERE job = $1 AND record = $2',
      [job, record],
    );
    if (row === undefined) return null;
    const { bytes, action, by_whom: by, at } = row;
    return {
      text: bytes.toString(),
      bytesBase64: bytes.toString('base64'),
      ...{ action, by, at: at.toISOString() },
    };
  }

  private letters(bytes: string): SelectQueryBuilder<DeadLetterRow> {
    const columns = this.database.getMetadata(DeadLetterRow).columns.map(({ propertyName }) => propertyName);
    return this.database
      .getRepository(DeadLetterRow)
      .createQueryBuilder('letter')
      .select(columns.filter((name) => name !== 'bytes').map((name) => `letter.${name}`))
      .addSelect(bytes, 'shown_bytes');
  }

  /** Each list of columns is read once, however many have it. */
  private async readLetters(query: SelectQueryBuilder<DeadLetterRow>): Promise<Letter[]> {
    const { entities, raw } = await query.getRawAndEntities<RawLetter>();
    const ids = [...new Set(entities.map(({ columnsId }) => columnsId))];
    const lists = await this.database.getRepository(DeadLetterColumns).findBy({ id: In(ids) });
    const names = new Map(lists.map((list) => [list.id, list.names]));
    return entities.map((row, index) => ({
      row,
      columns: names.get(row.columnsId) ?? [],
      bytes: raw[index]?.shown_bytes ?? Buffer.alloc(0),
    }));
  }
}

interface Letter {
  readonly row: DeadLetterRow;
  readonly columns: readonly string[];
  /** As many as were asked for. */
  readonly bytes: Buffer;
}

interface EditRow {
  readonly bytes: Buffer;
  readonly action: string;
  readonly by_whom: string | null;
  readonly at: Date;
}

interface RawLetter {
  readonly shown_bytes: Buffer;
}

interface Filters extends Omit<DeadLettersQuery, 'cursor' | 'limit'> {
  /** With `code`: the groups of dead letters whose first error has it. */
  readonly groupsOfCode: readonly string[];
}

type PageOfFilters = Filters & Pick<DeadLettersQuery, 'cursor' | 'limit'>;

function filtered(
  query: SelectQueryBuilder<DeadLetterRow>,
  { job, code, dataset, stage, group, state, groupsOfCode }: Filters,
): SelectQueryBuilder<DeadLetterRow> {
  if (job !== undefined) query.andWhere('letter.job = :job', { job });
  // The second condition follows from the first, and there is an index for each part of it.
  if (code !== undefined)
    query.andWhere(
      `:code = ANY (letter.codes) AND (letter.group_id = ANY (CAST(:groupsOfCode AS uuid[]))
         OR cardinality(letter.codes) > 1 OR letter.group_id IS NULL)`,
      { code, groupsOfCode },
    );
  if (dataset !== undefined) query.andWhere('letter.dataset = :dataset', { dataset });
  if (stage !== undefined) query.andWhere('letter.stage = :stage', { stage });
  if (group !== undefined) query.andWhere('letter.group_id = :group', { group });
  if (state !== undefined) query.andWhere('letter.state = :state', { state });
  return query;
}

/** About as many as its JSON has. */
function viewBytes({ columns, findings, message, text }: DeadLetterView): number {
  const ofColumns = columns.reduce((sum, name) => sum + name.length + QUOTES, 0);
  const ofFindings = findings.reduce(
    (sum, { code, field, message }) =>
      sum + code.length + (field?.length ?? 0) + message.length + FINDING_FRAME,
    0,
  );
  const ofMessage = message === null ? 0 : JSON.stringify(message).length;
  return ROW_FRAME + ofColumns + ofFindings + ofMessage + text.length;
}

function viewOf({ row, columns }: Letter, text: string): DeadLetterView {
  return {
    id: `${row.job}:${row.record}`,
    dataset: row.dataset,
    job: row.job,
    batch: row.batch,
    record: row.record,
    line: row.line,
    byteStart: row.byteStart,
    byteEnd: row.byteEnd,
    stage: row.stage,
    codes: row.codes,
    findings: row.findings,
    sqlstate: row.sqlstate,
    attempt: row.attempt,
    columns,
    message: row.message,
    text,
    state: row.state,
    reason: row.reason,
    group: row.groupId,
    predecessor: idOf(row.predecessorJob, row.predecessorRecord),
    successor: idOf(row.successorJob, row.successorRecord),
  };
}

function idOf(job: string | null, record: number | null): string | null {
  return job === null || record === null ? null : `${job}:${record}`;
}
