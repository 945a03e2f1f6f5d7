import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Job } from '#core/job/job.entity.js';
import type { BatchView, JobDetail, JobSummary, Page } from '#core/job/job-view.js';
import { DeadLetterRow } from '../fold/dead-letter.entity.js';
import { JobBatch } from '../fold/job-batch.entity.js';
import { JobStage } from '../fold/job-stage.entity.js';
import { detailOf, hasLettersOfOthers, summaryOf } from './job-views.js';
import type { BatchesQuery, JobsQuery } from './queries.dto.js';
import { pageOf } from './page.js';

/** Reads jobs and their folds. Never selects `secret_uri`: the entity leaves it out unless asked. */
@Injectable()
export class JobReader {
  constructor(private readonly database: DataSource) {}

  /** Newest first: ids are UUIDv7, so their order is their age's, and no two are equal. */
  async list({ dataset, state, cursor, limit }: JobsQuery): Promise<Page<JobSummary>> {
    const query = this.jobsAndNow()
      .orderBy('job.id', 'DESC')
      .limit(limit + 1);
    if (dataset !== undefined) query.andWhere('job.dataset = :dataset', { dataset });
    if (state !== undefined) query.andWhere('job.state = :state', { state });
    if (cursor !== undefined) query.andWhere('job.id < :cursor', { cursor });
    const { entities, raw } = await query.getRawAndEntities<{ now: Date }>();
    const now = raw[0]?.now ?? new Date();
    return pageOf(
      entities.map((job) => summaryOf(job, now)),
      limit,
      ({ id }) => id,
    );
  }

  /** @returns null when no job has this id */
  async detail(id: string): Promise<JobDetail | null> {
    const { entities, raw } = await this.jobsAndNow()
      .where('job.id = :id', { id })
      .getRawAndEntities<{ now: Date }>();
    const [job] = entities;
    if (!job || !raw[0]) return null;
    // After the job row: folds that are newer than it are right, older ones would lag behind a final state.
    const stages = await this.database.getRepository(JobStage).findBy({ job: id });
    const lettersOfCounted = hasLettersOfOthers(job, stages) ? await this.lettersOfCounted(job) : null;
    return detailOf(job, stages, raw[0].now, lettersOfCounted);
  }

  /** In batch order. @returns null when no job has this id */
  async batches(id: string, { cursor, limit }: BatchesQuery): Promise<Page<BatchView> | null> {
    if (!(await this.database.getRepository(Job).existsBy({ id }))) return null;
    const rows = await this.database
      .getRepository(JobBatch)
      .createQueryBuilder('fact')
      .select('fact.batch', 'batch')
      .addSelect('max(fact.records)', 'records')
      .addSelect('max(fact.bytes)', 'bytes')
      .addSelect(`max(fact.at) FILTER (WHERE fact.stage = 'ingest')`, 'ingestedAt')
      .addSelect(`max(fact.at) FILTER (WHERE fact.stage = 'validate')`, 'validatedAt')
      .addSelect(`max(fact.at) FILTER (WHERE fact.stage = 'load')`, 'loadedAt')
      .addSelect(`max(fact.accepted) FILTER (WHERE fact.stage = 'validate')`, 'accepted')
      .addSelect(`max(fact.refused) FILTER (WHERE fact.stage = 'validate')`, 'refused')
      .addSelect(`max(fact.skipped) FILTER (WHERE fact.stage = 'validate')`, 'skipped')
      .where('fact.job = :id AND fact.batch > :cursor', { id, cursor: cursor ?? -1 })
      .groupBy('fact.batch')
      .orderBy('fact.batch')
      .limit(limit + 1)
      .getRawMany<BatchRow>();
    return pageOf(rows.map(batchViewOf), limit, ({ batch }) => String(batch));
  }

  private async lettersOfCounted({ id, countedBatches }: Job): Promise<number> {
    return this.database
      .getRepository(DeadLetterRow)
      .createQueryBuilder('letter')
      .where('letter.job = :id AND letter.batch <@ CAST(:batches AS int8multirange)', {
        id,
        batches: countedBatches,
      })
      .getCount();
  }

  private jobsAndNow() {
    return this.database.getRepository(Job).createQueryBuilder('job').addSelect('now()', 'now');
  }
}

interface BatchRow {
  readonly batch: string;
  readonly records: string;
  readonly bytes: string;
  readonly ingestedAt: Date | null;
  readonly validatedAt: Date | null;
  readonly loadedAt: Date | null;
  readonly accepted: string | null;
  readonly refused: string | null;
  readonly skipped: string | null;
}

function batchViewOf(row: BatchRow): BatchView {
  const count = (value: string | null): number | null => (value === null ? null : Number(value));
  return {
    batch: Number(row.batch),
    records: Number(row.records),
    bytes: Number(row.bytes),
    ingestedAt: row.ingestedAt?.toISOString() ?? null,
    validatedAt: row.validatedAt?.toISOString() ?? null,
    loadedAt: row.loadedAt?.toISOString() ?? null,
    accepted: count(row.accepted),
    refused: count(row.refused),
    skipped: count(row.skipped),
  };
}
