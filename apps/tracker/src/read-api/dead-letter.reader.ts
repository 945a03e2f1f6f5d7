import { Injectable } from '@nestjs/common';
import { DataSource, type SelectQueryBuilder } from 'typeorm';
import type { DeadLetterView, Page } from '#core/job/job-view.js';
import { DeadLetterRow } from '../fold/dead-letter.entity.js';
import { LetterColumns } from '../fold/letter-columns.entity.js';
import { LIST_TEXT_BYTES, cutText } from './letter-text.js';
import { pageOf } from './page.js';
import type { DeadLettersQuery } from './queries.dto.js';

/** Reads the index of dead letters. */
@Injectable()
export class DeadLetterReader {
  constructor(private readonly database: DataSource) {}

  /** In order of job and record; bytes are read only as far as a list shows them. */
  async list({ job, code, dataset, stage, cursor, limit }: DeadLettersQuery): Promise<Page<DeadLetterView>> {
    const query = this.letters(`substring(letter.bytes FROM 1 FOR ${LIST_TEXT_BYTES})`)
      .orderBy('letter.job')
      .addOrderBy('letter.record')
      .limit(limit + 1);
    if (job !== undefined) query.andWhere('letter.job = :job', { job });
    if (code !== undefined) query.andWhere(':code = ANY (letter.codes)', { code });
    if (dataset !== undefined) query.andWhere('letter.dataset = :dataset', { dataset });
    if (stage !== undefined) query.andWhere('letter.stage = :stage', { stage });
    if (cursor !== undefined) {
      const [afterJob, afterRecord] = cursor.split(':');
      query.andWhere('(letter.job, letter.record) > (:afterJob::uuid, :afterRecord::bigint)', {
        afterJob,
        afterRecord,
      });
    }
    const letters = await readLetters(query);
    return pageOf(
      letters.map((letter) => viewOf(letter, cutText(letter.bytes))),
      limit,
      ({ id }) => id,
    );
  }

  /** With its exact bytes. @returns null when there is none of this id */
  async one(job: string, record: number): Promise<DeadLetterView | null> {
    const query = this.letters('letter.bytes').where('letter.job = :job AND letter.record = :record', {
      job,
      record,
    });
    const [letter] = await readLetters(query);
    if (!letter) return null;
    return { ...viewOf(letter, letter.bytes.toString()), bytesBase64: letter.bytes.toString('base64') };
  }

  private letters(bytes: string): SelectQueryBuilder<DeadLetterRow> {
    const columns = this.database.getMetadata(DeadLetterRow).columns.map(({ propertyName }) => propertyName);
    return this.database
      .getRepository(DeadLetterRow)
      .createQueryBuilder('letter')
      .select(columns.filter((name) => name !== 'bytes').map((name) => `letter.${name}`))
      .addSelect(bytes, 'shown_bytes')
      .leftJoin(LetterColumns, 'list', 'list.id = letter.columns_id')
      .addSelect('list.names', 'column_names');
  }
}

interface Letter {
  readonly row: DeadLetterRow;
  readonly columns: readonly string[];
  /** As many as were asked for. */
  readonly bytes: Buffer;
}

interface RawLetter {
  readonly shown_bytes: Buffer;
  readonly column_names: string[] | null;
}

async function readLetters(query: SelectQueryBuilder<DeadLetterRow>): Promise<Letter[]> {
  const { entities, raw } = await query.getRawAndEntities<RawLetter>();
  return entities.map((row, index) => ({
    row,
    columns: raw[index]?.column_names ?? [],
    bytes: raw[index]?.shown_bytes ?? Buffer.alloc(0),
  }));
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
    text,
  };
}
