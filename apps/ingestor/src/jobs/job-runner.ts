import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { classifyBrokerError } from '#common/kafka/kafka-errors.js';
import { KeptAdmin } from '#common/kafka/kept-admin.js';
import { Publisher } from '#common/kafka/publisher.js';
import { KAFKA, LOGGER } from '#common/lifecycle/tokens.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/dataset/registry.js';
import type { Claim } from '#core/job/ingest-claim.js';
import {
  type Checkpoint,
  type Job,
  type PinnedCutting,
  type PinnedHead,
  jobErrorOf,
} from '#core/job/job.entity.js';
import { JobRepository } from '#core/job/job.repository.js';
import { MessageSeal } from '#core/message/message-seal.js';
import { topicOf } from '#core/message/topics.js';
import { compileContract } from '#core/record/compile-contract.js';
import { type CutPosition, type Cutter, createCutter } from '#core/record/cutter.js';
import { checkColumnTypes } from '#core/staging/checks/column-types.js';
import { KnownTargets } from '#core/staging/known-targets.js';
import { createStaging } from '#core/staging/staging-tables.js';
import { IngestorConfig } from '../ingestor.config.js';
import { IngestorMetrics } from '../ingestor.metrics.js';
import { BatchPublisher } from '../publish/batch-publisher.js';
import type { ByteSource } from '../sources/byte-source.js';
import { SourceOpener } from '../sources/source-opener.js';
import { LeaseKeeper } from './lease-keeper.js';
import { type OpenedHead, readHead } from './read-head.js';
import { assertSameHead, assertSameIdentity, changedSource } from './same-source.js';

/** When the process has to end, it waits no longer than this for acknowledgements. */
const LONGEST_SETTLE_MS = 3_000;

/**
 * Takes one claimed job from its source to the raw topic.
 *
 * open the source → read its head → start (pin everything, make staging, set `running`) → cut and publish →
 * write the totals and give the lease back.
 *
 * Invariants
 * - R1: a job that is claimed again goes on with what was pinned: cutting is a pure function of the bytes and the
 *   pinned parameters, so batch n is batch n again.
 * - R2: it goes on only if the source is the one that it began with (`same-source.ts`): at the checkpoint's byte
 *   where the transport can begin there and a validator says that every byte is the same, else from the start
 *   against the chain of hashes; otherwise it fails with SOURCE_CHANGED.
 * - R3: whatever ends a run, what was acknowledged is in the checkpoint that it leaves, if the database answers.
 * - R4: a cancelled job is let go of only when nothing of it is under way to the brokers any more.
 */
@Injectable()
export class JobRunner {
  private readonly seal: MessageSeal | null;
  private readonly admin: KeptAdmin;
  private readonly targets = new KnownTargets();
  private readonly leases = new Map<string, LeaseKeeper>();

  constructor(
    @Inject(JobRepository) private readonly jobs: JobRepository,
    @Inject(DatasetRegistry) private readonly registry: DatasetRegistry,
    @Inject(SourceOpener) private readonly sources: SourceOpener,
    @Inject(Publisher) private readonly publisher: Publisher,
    @Inject(IngestorConfig) private readonly config: IngestorConfig,
    @Inject(IngestorMetrics) private readonly metrics: IngestorMetrics,
    @Inject(KAFKA) kafka: Kafka,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.seal = MessageSeal.of(config.messageKey);
    this.admin = new KeptAdmin(kafka);
  }

  /**
   * Never rejects: a source's own fault fails the job; trouble with Kafka or PostgreSQL leaves it to be
   * claimed again.
   * @param drain aborted when the process has to end; the job is given back
   */
  async run(claim: Claim, drain: AbortSignal): Promise<void> {
    const log = this.logger.child({ job: claim.id, epoch: claim.epoch });
    const checkpoint = (): Checkpoint | null => run.publisher?.checkpoint ?? null;
    const lease = new LeaseKeeper(this.jobs, claim, log, this.config.leaseSeconds, checkpoint);
    const run: Run = { claim, log, lease, signal: AbortSignal.any([lease.signal, drain]) };
    this.leases.set(claim.id, lease);
    try {
      const job = await this.jobs.load(claim.id);
      log.info({ dataset: job.dataset, source: job.source.display, mode: job.mode }, 'job claimed');
      await this.ingest(job, run);
    } catch (error) {
      await this.settle(run, run.signal.aborted ? run.signal.reason : error, drain.aborted);
    } finally {
      if (this.leases.get(claim.id) === lease) this.leases.delete(claim.id);
      await lease.stop();
    }
  }

  /** When no job is run any more. */
  async close(): Promise<void> {
    await this.admin.close();
  }

  /** Looks at once at what an operator has changed of the job, if it is run here; else without effect. */
  async look(id: string): Promise<void> {
    await this.leases.get(id)?.look();
  }

  private async ingest(job: Job, run: Run): Promise<void> {
    const dataset = this.registry.get(job.dataset);
    assertOwnVersion(job, dataset);
    const address = { uri: job.secretUri, trustedCaller: job.source.trustedCaller };
    // While the source is opened; what is wrong with it comes first.
    const counting = this.admin.countPartitions(topicOf(dataset.name, 'raw'));
    counting.catch(() => undefined);
    const source = await this.sources.open(address, run.signal);
    try {
      assertSameIdentity(job, source.identity);
      const opened = await headOf(job, dataset, source);
      const { cutting, head } = await this.pin(job, run.claim, dataset, source, opened, counting);
      const begin = await placeToBeginAt(job, source, opened);
      run.publisher = this.publisherFor(job, run, cutting, head, begin !== null);
      const cutter = createCutter(
        { ...cutting, limitRecords: job.limitRecords },
        begin ?? { batch: 0, record: 0, line: head.firstLine, byte: head.dataStart },
      );
      const counted =
        begin === null
          ? opened
          : countFrom(begin.byte, restOf(opened, source, begin.byte), source.expectedBytes);
      const end = await cutAndPublish(cutter, counted.records, run.publisher);
      if (end === null) {
        throw new SluiceError('SOURCE_EMPTY', 'The source has no records.', { file: job.source.display });
      }
      faultPoint('ingestor.before-totals');
      // Counted apart from the cutter (B5); behind a limit nothing is read.
      const sourceBytes = cutter.done ? end.byteOffset : counted.bytesRead();
      await this.jobs.finishSource(run.claim, end, sourceBytes);
      const { nextBatch: batches, nextRecord, byteOffset: bytes } = end;
      run.log.info({ batches, records: nextRecord, bytes }, 'source read to its end');
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
    { prologue, lineEnd, bytes, lines }: OpenedHead,
    counting: Promise<number | undefined>,
  ): Promise<{ cutting: PinnedCutting; head: PinnedHead }> {
    const { columns, context, dataStart, firstLine } = prologue;
    const head: PinnedHead = { columns, context, dataStart, firstLine, bytes, lines };
    assertSameHead(job, head);
    const partitions = (await counting) ?? 1;
    if (job.cutting) {
      // Where a batch stands says nothing about it: a topic that was created again with fewer takes them all the same.
      return { cutting: { ...job.cutting, partitions: Math.min(job.cutting.partitions, partitions) }, head };
    }
    const cutting: PinnedCutting = {
      format: dataset.format,
      lineEnd,
      maxBatchBytes: this.config.maxBatchBytes,
      maxBatchRecords: this.config.maxBatchRecords,
      maxRecordBytes: this.config.maxRecordBytes,
      partitions,
    };
    const { tables } = compileContract(dataset, { columns, context, options: job.options });
    const { identity: sourceIdentity, expectedBytes } = source;
    const { contractVersion } = dataset;
    const start = {
      cutting,
      head,
      sourceIdentity,
      expectedBytes,
      contractVersion,
      signed: this.seal !== null,
    };
    await this.jobs.start(claim, start, async (client) => {
      await createStaging(client, tables, job, this.targets);
      await checkColumnTypes(client, dataset);
    });
    return { cutting, head };
  }

  private publisherFor(
    job: Job,
    { claim, signal, lease, log }: Run,
    { format, partitions }: PinnedCutting,
    { columns, context }: PinnedHead,
    beginsThere: boolean,
  ): BatchPublisher {
    const { id, dataset, options } = job;
    // A job that was queued under another version has taken ours (`assertOwnVersion`).
    const { contractVersion } = this.registry.get(dataset);
    const waits = this.jobs.waitsOf(job, log);
    waits.clear();
    return new BatchPublisher({
      publisher: this.publisher,
      partitions,
      maxInFlight: this.config.publishesInFlight,
      seal: this.sealFor(job),
      resumeFrom: job.checkpoint,
      beginsThere,
      republishFrom: job.republishFrom,
      signal,
      logger: log,
      clearance: () => lease.whileNotPaused(signal),
      onPublished: (batch) => {
        this.metrics.published(dataset, batch);
      },
      onWaiting: (reason) => {
        if (reason === null) waits.clear();
        else waits.declare('SERVER_AWAY', reason);
      },
      facts: {
        ...{ dataset, job: id, epoch: claim.epoch, format, columns, context, contractVersion, options },
        attempt: 0,
      },
    });
  }

  /**
   * Whether a job is sealed is pinned when it begins, which it has not in the row that we read if it begins now.
   * @throws SluiceError SETTING_INVALID
   */
  private sealFor({ id, state, signed }: Job): MessageSeal | null {
    if (state !== 'queued' && !signed) return null;
    if (signed && state !== 'queued' && this.seal === null) {
      throw new SluiceError(
        'SETTING_INVALID',
        `The messages of job ${id} are sealed, and this ingestor has no SLUICE_MESSAGE_KEY.`,
        { job: id },
      );
    }
    return this.seal;
  }

  /** Ends a run that did not come to the end of its source. */
  private async settle(run: Run, error: unknown, draining: boolean): Promise<void> {
    const { claim, log, publisher } = run;
    const settled = publisher?.settle();
    // Another ingestor publishes again what is not acknowledged by then.
    await (draining ? Promise.race([settled, delay(LONGEST_SETTLE_MS, undefined, { ref: false })]) : settled);
    try {
      await this.leave(run, error, draining).catch((failure: unknown) => {
        if (!isLost(failure)) throw failure;
        log.info('the job is no longer ours');
      });
      await this.jobs.letGo(claim);
    } catch (failure) {
      log.warn(
        { err: failure },
        'the outcome could not be written; the job is claimed again when its lease ends',
      );
    }
  }

  /** Saves what was reached, and gives the job back or fails it. @throws SluiceError JOB_LOST */
  private async leave({ claim, log, publisher }: Run, error: unknown, draining: boolean): Promise<void> {
    if (publisher?.checkpoint) await this.jobs.saveCheckpoint(claim, publisher.checkpoint);
    if (draining || isTransient(error)) {
      log.warn({ err: error }, 'the job is given back, to be gone on with');
      await this.jobs.release(claim);
      return;
    }
    if (isLost(error)) throw error;
    if (error instanceof SluiceError && error.code === 'CONTRACT_MISMATCH') {
      log.error({ code: error.code }, `paused: ${error.message}`);
      await this.jobs.pauseForContract(claim, jobErrorOf(error));
      return;
    }
    const failure = error instanceof SluiceError ? error : (databaseProblem(error) ?? unexpected(error));
    const { code } = failure;
    const isResumable = code !== 'SOURCE_CHANGED' || publisher?.hasUnprovedBatches !== true;
    // What stands in a source belongs into the job row alone: an address may answer with anything.
    log.warn(QUOTES_SOURCE.includes(code) ? { code } : { err: error, code }, 'the job failed');
    await this.jobs.fail(claim, jobErrorOf(failure), isResumable);
  }
}

/** Codes whose messages may quote the head of a source. */
const QUOTES_SOURCE: readonly string[] = ['SOURCE_REFUSED', 'SOURCE_CHANGED'];

/** One claim of one job by this process. */
interface Run {
  readonly claim: Claim;
  readonly log: Logger;
  readonly lease: LeaseKeeper;
  /** Aborted when the job is lost or the process has to end. */
  readonly signal: AbortSignal;
  /** Once the head of the source is read. */
  publisher?: BatchPublisher;
}

/** @returns the place behind the last record, when all of it is acknowledged; null for a source without records */
async function cutAndPublish(
  cutter: Cutter,
  records: AsyncIterable<Buffer>,
  publisher: BatchPublisher,
): Promise<Checkpoint | null> {
  for await (const chunk of records) {
    for (const batch of cutter.push(chunk)) await publisher.publish(batch);
    if (cutter.done) break;
  }
  for (const batch of cutter.end()) await publisher.publish(batch);
  await publisher.drain();
  return publisher.checkpoint;
}

/**
 * What a job has published so far is validated by the version that it began with. One that has not begun takes ours.
 * @throws SluiceError CONTRACT_MISMATCH
 */
function assertOwnVersion(
  { id, state, contractVersion }: Job,
  { name, contractVersion: own }: Dataset,
): void {
  if (state === 'queued' || contractVersion === own) return;
  throw new SluiceError(
    'CONTRACT_MISMATCH',
    `Job ${id} was started with version ${contractVersion} of the contract, this ingestor has ${own}.`,
    { dataset: name, job: id },
  );
}

/** What follows `byte`: of a source that has come with its head nothing more will come, wherever it is moved. */
function restOf({ whole }: OpenedHead, source: ByteSource, byte: number): AsyncIterable<Buffer> {
  return whole === null ? source.chunks : Readable.from([whole.subarray(byte)]);
}

/** The source from `byte` on, and how far it was read. */
function countFrom(
  byte: number,
  chunks: AsyncIterable<Buffer>,
  expectedBytes: number | null,
): { records: AsyncIterable<Buffer>; bytesRead: () => number } {
  let read = byte;
  async function* records(): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      read += chunk.length;
      yield chunk;
    }
  }
  // What was skipped is not counted, so the length that the source itself tells counts where it tells it.
  return { records: records(), bytesRead: () => expectedBytes ?? read };
}

/** A head that is refused now and was not when the job began belongs to another source (R2). */
async function headOf(job: Job, dataset: Dataset, source: ByteSource): Promise<OpenedHead> {
  try {
    return await readHead(dataset, source.chunks, job.source.display);
  } catch (error) {
    if (job.head === null || !(error instanceof SluiceError) || error.code !== 'SOURCE_REFUSED') throw error;
    throw changedSource(job, error.message);
  }
}

/** Where cutting goes on, with the source moved there; null when it is read from the start (R2). */
async function placeToBeginAt(
  job: Job,
  source: ByteSource,
  { whole }: OpenedHead,
): Promise<CutPosition | null> {
  const { checkpoint, republishFrom, sourceIdentity } = job;
  const { validator = null } = source.identity;
  if (checkpoint === null || republishFrom !== null) return null;
  if (validator === null || validator !== sourceIdentity?.validator) return null;
  if (whole === null && !(await source.skipTo(checkpoint.byteOffset))) return null;
  const { nextBatch: batch, nextRecord: record, nextLine: line, byteOffset: byte } = checkpoint;
  return { batch, record, line, byte };
}

/** Trouble of the brokers' or the database's says nothing about the job (G10), and it is gone on with afterwards. */
function isTransient(error: unknown): boolean {
  if (error instanceof SluiceError) {
    return error.code === 'BROKER_UNAVAILABLE' || error.code === 'DATABASE_UNAVAILABLE';
  }
  const kind = classifyDatabaseError(error);
  const isDatabaseTrouble =
    kind === 'wait' || kind === 'retry' || (kind === 'unknown' && sqlstateOf(error) !== null);
  return isDatabaseTrouble || classifyBrokerError(error) === 'wait';
}

function unexpected(error: unknown): SluiceError {
  return new SluiceError('INTERNAL', `The ingestor failed: ${messageOf(error)}`, {}, { cause: error });
}

/** The job is somebody else's now, or has ended: nothing is left to write. */
function isLost(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'JOB_LOST';
}
