import { Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { Publisher } from '#common/kafka/publisher.js';
import { countPartitions } from '#common/kafka/topics-admin.js';
import { KAFKA, LOGGER } from '#common/lifecycle/tokens.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/dataset/registry.js';
import type { Job, PinnedCutting, PinnedHead } from '#core/job/job.entity.js';
import { type Claim, JobRepository } from '#core/job/job.repository.js';
import { topicOf } from '#core/message/topics.js';
import { compileContract } from '#core/record/compile-contract.js';
import { type Cutter, createCutter } from '#core/record/cutter.js';
import { createStaging } from '#core/staging/staging-tables.js';
import { IngestorConfig } from '../ingestor.config.js';
import { IngestorMetrics } from '../ingestor.metrics.js';
import { BatchPublisher } from '../publish/batch-publisher.js';
import type { ByteSource } from '../sources/byte-source.js';
import { SourceOpener } from '../sources/source-opener.js';
import { LeaseKeeper } from './lease-keeper.js';
import { type OpenedHead, readHead } from './read-head.js';

const CHECKPOINT_INTERVAL_MS = 1_000;

/**
 * Takes one claimed job from its source to the raw topic.
 *
 * open the source → read its head → start (pin everything, make staging, set `running`) → cut and publish →
 * write the totals and give the lease back. A job that is claimed again finds what was pinned and goes on:
 * cutting is a pure function of the bytes and the pinned parameters, so batch n is batch n again.
 */
@Injectable()
export class JobRunner {
  constructor(
    @Inject(JobRepository) private readonly jobs: JobRepository,
    @Inject(DatasetRegistry) private readonly registry: DatasetRegistry,
    @Inject(SourceOpener) private readonly sources: SourceOpener,
    @Inject(Publisher) private readonly publisher: Publisher,
    @Inject(IngestorConfig) private readonly config: IngestorConfig,
    @Inject(IngestorMetrics) private readonly metrics: IngestorMetrics,
    @Inject(KAFKA) private readonly kafka: Kafka,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Never rejects: a source's own fault fails the job; trouble with Kafka or PostgreSQL leaves it to be
   * claimed again.
   * @param drain aborted when the process has to end; the job is given back
   */
  async run(claim: Claim, drain: AbortSignal): Promise<void> {
    const log = this.logger.child({ job: claim.id, epoch: claim.epoch });
    const lease = new LeaseKeeper(this.jobs, claim, log, this.config.leaseSeconds);
    const signal = AbortSignal.any([lease.signal, drain]);
    try {
      const job = await this.jobs.load(claim.id);
      log.info({ dataset: job.dataset, source: job.source.display, mode: job.mode }, 'job claimed');
      await this.ingest(job, claim, signal, log);
    } catch (error) {
      await this.settle(claim, signal.aborted ? signal.reason : error, drain.aborted, log);
    } finally {
      await lease.stop();
    }
  }

  private async ingest(job: Job, claim: Claim, signal: AbortSignal, log: Logger): Promise<void> {
    const dataset = this.registry.get(job.dataset);
    const source = await this.sources.open(
      { uri: job.secretUri, trustedCaller: job.source.trustedCaller },
      signal,
    );
    try {
      const opened = await readHead(dataset, source.chunks, job.source.display);
      const { cutting, head } = await this.pin(job, claim, dataset, source, opened);
      const publisher = new BatchPublisher({
        publisher: this.publisher,
        partitions: cutting.partitions,
        maxInFlight: this.config.publishesInFlight,
        resumeFrom: job.checkpoint,
        signal,
        logger: log,
        onPublished: (batch) => {
          this.metrics.published(dataset.name, batch);
        },
        facts: {
          dataset: dataset.name,
          job: job.id,
          epoch: claim.epoch,
          format: cutting.format,
          columns: head.columns,
          context: head.context,
          contractVersion: job.contractVersion,
          options: job.options,
          attempt: 0,
        },
      });
      const cutter = createCutter(
        { ...cutting, limitRecords: job.limitRecords },
        { batch: 0, record: 0, line: head.firstLine, byte: head.dataStart },
      );
      const totals = await this.cutAndPublish(claim, cutter, opened.records, publisher);
      if (totals.records === 0) {
        throw new SluiceError('SOURCE_EMPTY', 'The source has no records.', { file: job.source.display });
      }
      await this.jobs.finishSource(claim, totals);
      log.info(totals, 'source read to its end');
    } finally {
      await source.close();
    }
  }

  /** Pins head and cutting when the job starts; a job that goes on must find the same head again. */
  private async pin(
    job: Job,
    claim: Claim,
    dataset: Dataset,
    source: ByteSource,
    { prologue }: OpenedHead,
  ): Promise<{ cutting: PinnedCutting; head: PinnedHead }> {
    const { columns, context, dataStart, firstLine } = prologue;
    const head: PinnedHead = { columns, context, dataStart, firstLine };
    if (job.cutting && job.head) {
      if (JSON.stringify(sorted(job.head)) !== JSON.stringify(sorted(head))) {
        throw new SluiceError(
          'SOURCE_CHANGED',
          'The head of the source is not what it was before the interruption.',
          {
            job: job.id,
            file: job.source.display,
          },
        );
      }
      return { cutting: job.cutting, head: job.head };
    }
    const topic = topicOf(dataset.name, 'raw');
    const cutting: PinnedCutting = {
      format: dataset.format,
      maxBatchBytes: this.config.maxBatchBytes,
      maxBatchRecords: this.config.maxBatchRecords,
      maxRecordBytes: this.config.maxRecordBytes,
      partitions: (await countPartitions(this.kafka, [topic])).get(topic) ?? 1,
    };
    const { tables } = compileContract(dataset, { columns, context, options: job.options });
    const { identity: sourceIdentity, expectedBytes } = source;
    await this.jobs.start(claim, { cutting, head, sourceIdentity, expectedBytes }, (client) =>
      createStaging(client, tables, job),
    );
    return { cutting, head };
  }

  private async cutAndPublish(
    claim: Claim,
    cutter: Cutter,
    records: AsyncIterable<Buffer>,
    publisher: BatchPublisher,
  ): Promise<{ batches: number; records: number; bytes: number }> {
    let savedAt = performance.now();
    for await (const chunk of records) {
      for (const batch of cutter.push(chunk)) await publisher.publish(batch);
      if (publisher.checkpoint && performance.now() - savedAt > CHECKPOINT_INTERVAL_MS) {
        savedAt = performance.now();
        await this.jobs.saveCheckpoint(claim, publisher.checkpoint);
      }
      if (cutter.done) break;
    }
    for (const batch of cutter.end()) await publisher.publish(batch);
    await publisher.drain();
    const { nextBatch: batches = 0, nextRecord = 0, byteOffset = 0 } = publisher.checkpoint ?? {};
    return { batches, records: nextRecord, bytes: byteOffset };
  }

  private async settle(claim: Claim, error: unknown, draining: boolean, log: Logger): Promise<void> {
    if (error instanceof SluiceError && error.code === 'JOB_LOST') {
      log.info('the job is no longer ours');
      return;
    }
    try {
      if (draining || isTransient(error)) {
        log.warn({ err: error }, 'the job is given back, to be gone on with');
        await this.jobs.release(claim);
        return;
      }
      const failure = error instanceof SluiceError ? error : unexpected(error);
      log.warn({ err: error, code: failure.code }, 'the job failed');
      const { code, message, action } = failure;
      await this.jobs.fail(claim, { code, message, action });
    } catch (failure) {
      log.warn(
        { err: failure },
        'the outcome could not be written; the job is claimed again when its lease ends',
      );
    }
  }
}

/** Key order does not matter: jsonb does not keep it. */
function sorted(head: PinnedHead): unknown {
  return { ...head, context: Object.entries(head.context).sort(([a], [b]) => a.localeCompare(b)) };
}

function isTransient(error: unknown): boolean {
  if (classifyDatabaseError(error) === 'wait') return true;
  return (
    error instanceof SluiceError &&
    (error.code === 'BROKER_UNAVAILABLE' || error.code === 'DATABASE_UNAVAILABLE')
  );
}

function unexpected(error: unknown): SluiceError {
  return new SluiceError('INTERNAL', `The ingestor failed: ${messageOf(error)}`, {}, { cause: error });
}
