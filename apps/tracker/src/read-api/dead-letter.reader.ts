import { Injectable } from '@nestjs/common';
import { DataSource, type SelectQueryBuilder } from 'typeorm';
import type { DeadLetterView, Page } from '#core/job/job-view.js';
import { DeadLetterRow } from '../fold/dead-letter.entity.js';
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
      letters.map(({ row, bytes }) => viewOf(row, cutText(bytes))),
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
    return { ...viewOf(letter.row, letter.bytes.toString()), bytesBase64: letter.bytes.toString('base64') };
  }

  private letters(bytes: string): SelectQueryBuilder<DeadLetterRow> {
    const columns = this.database.getMetadata(DeadLetterRow).columns.map(({ propertyName }) => propertyName);
    return this.database
      .getRepository(DeadLetterRow)
      .createQueryBuilder('letter')
      .select(columns.filter((name) => name !== 'bytes').map((name) => `letter.${name}`))
      .addSelect(bytes, 'shown_bytes');
  }
}

async function readLetters(
  query: SelectQueryBuilder<DeadLetterRow>,
): Promise<{ row: DeadLetterRow; bytes: Buffer }[]> {
  const { entities, raw } = await query.getRawAndEntities<{ shown_bytes: Buffer }>();
  return entities.map((row, index) => ({ row, bytes: raw[index]?.shown_bytes ?? Buffer.alloc(0) }));
}

function viewOf(row: DeadLetterRow, text: string): DeadLetterView {
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
    columns: row.columns,
    text,
  };
}
