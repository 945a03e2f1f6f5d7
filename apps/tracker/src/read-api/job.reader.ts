import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { BatchView, JobDetail, JobSummary } from '#api/jobs.js';
import type { Page } from '#api/pages.js';
import { Job } from '#core/job/job.entity.js';
import { DeadLetterRow } from '../rows/dead-letter.entity.js';
import { JobBatch } from '../rows/job-batch.entity.js';
import { JobStage } from '../rows/job-stage.entity.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { FindingCategory } from '#api/job-words.js';
import { categoriesOf } from '#core/finding/finding-category.js';
import { hourOfJob } from '#core/job/prune-stream-jobs.js';
import { findingCategories } from '#core/record/finding-codes.js';
import { detailOf, hasDeadLettersOfOthers, summaryOf } from './job-views.js';
import { pageOf } from './page.js';
import type { BatchesQuery, JobsQuery } from './queries.dto.js';

/** Reads jobs and their folds. Never selects `secret_uri`: the entity leaves it out by default. */
@Injectable()
export class JobReader {
  constructor(
    private readonly database: DataSource,
    private readonly registry: DatasetRegistry,
  ) {}

  /** Newest first: ids are UUIDv7, so their order is their age's, and no two are equal. */
  async list({ dataset, state, stream, streams, cursor, limit }: JobsQuery): Promise<Page<JobSummary>> {
    const query = this.jobsAndNow()
      .orderBy('job.id', 'DESC')
      .limit(limit + 1);
    const filters = [
      ...(dataset === undefined ? [] : ['job.dataset = :dataset']),
      ...(state === undefined ? [] : ['job.state = :state']),
      ...(stream === undefined ? [] : ['job.stream = :stream']),
      ...(cursor === undefined ? [] : ['job.id < :cursor']),
    ];
    query.setParameters({ dataset, state, stream, cursor, limit: limit + 1 });
    if (streams === 'hidden') query.andWhere(`job.id IN (${unhidden(filters)})`);
    else for (const filter of filters) query.andWhere(filter);
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
    const deadLettersOfCounted = hasDeadLettersOfOthers(job, stages)
      ? await this.deadLettersOfCounted(job)
      : null;
    const detail = detailOf(job, stages, raw[0].now, deadLettersOfCounted);
    return { ...detail, categories: this.categoriesOf(detail) };
  }

  /** A code that this build does not know is left out: the job may be of another one. */
  private categoriesOf({ dataset: name, findings }: JobDetail): Readonly<Record<string, FindingCategory>> {
    const dataset = this.registry.all().find((one) => one.name === name);
    if (dataset === undefined) return {};
    return categoriesOf(Object.keys(findings), findingCategories(dataset));
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

  /** @returns the dataset whose stream's jobs of the same hour were pruned; null when there is none */
  async prunedOfStream(id: string): Promise<string | null> {
    const rows = await this.database.query<{ dataset: string }[]>(
      `SELECT dataset FROM sluice.pruned_job WHERE id = $1
       UNION ALL SELECT dataset FROM sluice.stream_hour WHERE hour = to_timestamp($2) AND $1 BETWEEN first_job AND last_job LIMIT 1`,
      [id, hourOfJob(id)],
    );
    return rows[0]?.dataset ?? null;
  }

  private async deadLettersOfCounted({ id, countedBatches }: Job): Promise<number> {
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

/**
 * SQL: the newest jobs of no stream, and the newest of streams that stand. Each part is read by an index of its own, whose order
 * is the list's: streams have a hundred thousand jobs beside a few others.
 * @param filters SQL over `job`
 */
function unhidden(filters: readonly string[]): string {
  const newest = (which: string): string =>
    `(SELECT job.id FROM sluice.job AS job WHERE ${[which, ...filters].join(' AND ')} ORDER BY job.id DESC LIMIT :limit)`;
  return `${newest('job.stream IS NULL')} UNION ALL
    ${newest(`job.stream IS NOT NULL AND job.state IN ('paused', 'failed')`)}`;
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
