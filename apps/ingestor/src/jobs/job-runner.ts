import { setTimeout as delay } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { SluiceError, codeOf, messageOf } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { KeptAdmin } from '#common/kafka/transport/kept-admin.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { linkAborts } from '#common/lifecycle/linked-abort.js';
import { KAFKA, LOGGER, TRACING } from '#common/providers/tokens.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import type { TracedWork, Tracing } from '#common/telemetry/tracing/traced-work.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { NewJob } from '#core/job/create-job.js';
import type { Claim } from '#core/job/ingest-claim.js';
import type { JobStart } from '#core/job/ingestor-transitions.js';
import {
  type Checkpoint,
  type Job,
  type PinnedCutting,
  type PinnedHead,
  jobErrorOf,
  ownPartOf,
} from '#core/job/job.entity.js';
import { JobRepository } from '#core/job/job.repository.js';
import { MessageSeal } from '#core/message/message-seal.js';
import { topicOf } from '#core/message/topics.js';
import { provenanceOf } from '#core/record/compile-contract.js';
import { createCutter } from '#core/record/cutter.js';
import type { SourceHead } from '#core/record/head/source-head.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import { KnownTargets } from '#core/staging/known-targets.js';
import { IngestorConfig } from '../ingestor.config.js';
import { IngestorMetrics } from '../ingestor.metrics.js';
import { BatchPublisher, type SentBatch } from '../publish/batch-publisher.js';
import type { ByteSource } from '../sources/byte-source.js';
import type { BatchSource } from '../sources/batch-source.js';
import {
  type MessageSource,
  type OpenedSource,
  deliversBatches,
  deliversMessages,
} from '../sources/message-source.js';
import { SourceOpener } from '../sources/source-opener.js';
import { TOPIC_IDENTITY } from '../sources/topic/topic-address.js';
import { openBatches, publishBatches } from './ingest-batches.js';
import { countFrom, cutAndPublish, headOf, placeToBeginAt, restOf } from './ingest-bytes.js';
import { cutMessagesAndPublish, headOfMessages, messageCutting } from './ingest-messages.js';
import { JobAtBirth, makeStaging } from './job-at-birth.js';
import { LeaseKeeper } from './lease-keeper.js';
import { QUOTES_SOURCE, isLost, isTransient, unexpected } from './run-errors.js';
import { assertSameHead, assertSameIdentity } from './same-source.js';

/** When the process has to end, it waits no longer than this for acknowledgements. */
const LONGEST_SETTLE_MS = 3_000;
/** A job that a server's absence has ended is claimed again after this: others get their turn. */
const RETRY_AFTER_SECONDS = 0.5;

/**
 * Takes one claimed job from its source to the raw topic.
 *
 * open the source → read its head → start (pin everything, make staging, set `running`) → cut and publish →
 * write the totals and release the lease.
 *
 * Invariants
 * - JR1: a job that is claimed again uses what was pinned: cutting is a pure function of the bytes and the
 *   pinned parameters, so batch n is batch n again.
 * - JR2: it is resumed only if the source is the one that it began with (`same-source.ts`): at the checkpoint's byte
 *   where the transport can begin there and a validator says that every byte is the same, else from the start
 *   against the chain of hashes; otherwise it fails with SOURCE_CHANGED.
 * - JR3: whatever ends a run, what was acknowledged is in the checkpoint that it leaves, if the database answers.
 * - JR4: the ingestor releases a cancelled job only when nothing of it is under way to the brokers any more.
 */
@Injectable()
export class JobRunner {
  private readonly seal: MessageSeal | null;
  private readonly admin: KeptAdmin;
  private readonly targets = new KnownTargets();
  private readonly leases = new Map<string, LeaseKeeper>();

  constructor(
    private readonly jobs: JobRepository,
    private readonly registry: DatasetRegistry,
    private readonly sources: SourceOpener,
    private readonly publisher: Publisher,
    private readonly config: IngestorConfig,
    private readonly metrics: IngestorMetrics,
    @Inject(KAFKA) kafka: Kafka,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing | null,
  ) {
    this.seal = MessageSeal.of(config.messageKey);
    this.admin = new KeptAdmin(kafka);
  }

  /**
   * Never rejects: a source's own fault fails the job; trouble with Kafka or PostgreSQL leaves it to be
   * claimed again.
   * @param drain aborted when the process has to end; the job is released
   * @param opened the job's source, where its caller has the messages already: it is closed at the end
   */
  async run(claim: Claim, drain: AbortSignal, opened?: MessageSource): Promise<void> {
    const log = this.logger.child({ job: claim.id, epoch: claim.epoch });
    const checkpoint = (): Checkpoint | null => run.publisher?.checkpoint ?? null;
    const lease = new LeaseKeeper(this.jobs, claim, log, this.config.leaseSeconds, checkpoint, () => {
      this.metrics.leases.lost('job');
    });
    const isRead = this.metrics.reading();
    const { signal, unlink } = linkAborts(lease.signal, drain);
    const run: Run = { claim, log, lease, signal };
    this.leases.set(claim.id, lease);
    try {
      const job = await this.jobs.load(claim.id);
      log.info({ dataset: job.dataset, source: job.source.display, mode: job.mode }, 'job claimed');
      const attributes = {
        'sluice.source': job.source.display,
        'sluice.mode': job.mode,
        'sluice.epoch': claim.epoch,
      };
      run.work = this.tracing?.begin('ingest', { job: job.id, dataset: job.dataset }, { attributes });
      await this.ingest(job, run, opened);
    } catch (error) {
      const cause: unknown = run.signal.aborted ? run.signal.reason : error;
      run.fault = codeOf(cause);
      await this.settle(run, cause, drain.aborted);
    } finally {
      if (this.leases.get(claim.id) === lease) this.leases.delete(claim.id);
      unlink();
      isRead();
      run.work?.end(run.fault);
      await lease.stop();
      await opened?.close();
    }
  }

  /**
   * For a job whose messages its caller has: what starts it in the transaction that makes its row.
   * @throws as counting the partitions of its topic does
   */
  async starterOf(job: NewJob): Promise<JobAtBirth> {
    const dataset = this.registry.get(job.dataset);
    const { prologue, lineEnd, bytes, lines } = headOfMessages(dataset);
    const { columns, context, dataStart, firstLine } = prologue;
    const partitions = (await this.admin.countPartitions(topicOf(dataset.name, 'raw'))) ?? 1;
    const head: PinnedHead = { columns, context, dataStart, firstLine, bytes, lines };
    const source = { identity: TOPIC_IDENTITY, expectedBytes: null };
    const start = this.startOf(dataset, source, { head, lineEnd, partitions });
    return new JobAtBirth(job, dataset, start, this.targets);
  }

  /** When no job is run any more. */
  async close(): Promise<void> {
    await this.admin.close();
  }

  /** Looks at once at what an operator has changed of the job, if it is run here; else without effect. */
  async recheck(id: string): Promise<void> {
    await this.leases.get(id)?.look();
  }

  private async ingest(job: Job, run: Run, given: MessageSource | undefined): Promise<void> {
    const dataset = this.registry.get(job.dataset);
    assertOwnVersion(job, dataset);
    const { encoding } = dataset;
    const began = job.sourceIdentity?.own ?? null;
    const request = { uri: job.secretUri, own: ownPartOf(job.source), began, encoding };
    // While the source is opened; what is wrong with it comes first.
    const counting = this.admin.countPartitions(topicOf(dataset.name, 'raw'));
    counting.catch(() => undefined);
    const source = given ?? (await this.sources.open(request, run.signal));
    try {
      assertSameIdentity(job, source.identity);
      const { end, bytes: sourceBytes } = await this.read(job, run, dataset, source, counting);
      faultPoint('ingestor.before-totals');
      await this.jobs.finishSource(run.claim, end, sourceBytes);
      const { nextBatch: batches, nextRecord, byteOffset: bytes } = end;
      run.log.info({ batches, records: nextRecord, bytes }, 'source read to its end');
    } finally {
      await source.close();
    }
  }

  private read(
    job: Job,
    run: Run,
    dataset: Dataset,
    source: OpenedSource,
    counting: Promise<number | undefined>,
  ): Promise<WholeSource> {
    if (deliversMessages(source)) return this.ingestMessages(job, run, dataset, source, counting);
    if (deliversBatches(source)) return this.ingestBatches(job, run, dataset, source, counting);
    return this.ingestBytes(job, run, dataset, source, counting);
  }

  private async ingestBytes(
    job: Job,
    run: Run,
    dataset: Dataset,
    source: ByteSource,
    counting: Promise<number | undefined>,
  ): Promise<WholeSource> {
    const opened = await headOf(job, dataset, source);
    const { cutting, head } = await this.pin(job, run.claim, dataset, source, opened, counting);
    const begin = await placeToBeginAt(job, source, opened);
    const told = { ...head, context: { ...head.context, ...(await this.provenanceOf(job, dataset)) } };
    run.publisher = this.publisherFor(job, run, cutting, told, begin !== null);
    const cutter = createCutter(
      { ...cutting, csv: dataset.csv, limitRecords: job.limitRecords },
      begin ?? { batch: 0, record: 0, line: head.firstLine, byte: head.dataStart },
    );
    const counted =
      begin === null
        ? opened
        : countFrom(begin.byte, restOf(opened, source, begin.byte), source.expectedBytes);
    const end = await cutAndPublish(cutter, counted.records, run.publisher);
    if (end === null) throw emptySource(job);
    // Counted apart from the cutter (LB5); behind a limit nothing is read.
    return { end, bytes: cutter.done ? end.byteOffset : counted.bytesRead() };
  }

  /** Messages have no head, and are read from the first one again when the job is resumed (JR2). */
  private async ingestMessages(
    job: Job,
    run: Run,
    dataset: Dataset,
    source: MessageSource,
    counting: Promise<number | undefined>,
  ): Promise<WholeSource> {
    const described = { identity: source.identity, expectedBytes: null };
    const opened = headOfMessages(dataset);
    const { cutting, head } = await this.pin(job, run.claim, dataset, described, opened, counting);
    const told = { ...head, context: await this.provenanceOf(job, dataset) };
    run.publisher = this.publisherFor(job, run, cutting, told, false);
    const options = messageCutting(dataset, { cutting, job, context: told.context, columns: head.columns });
    const end = await cutMessagesAndPublish(options, source.messages, run.publisher);
    if (end === null) throw emptySource(job);
    return { end, bytes: end.byteOffset };
  }

  /** Batches that an earlier job has cut are published as they are, and read from the first one again (JR2). */
  private async ingestBatches(
    job: Job,
    run: Run,
    dataset: Dataset,
    source: BatchSource,
    counting: Promise<number | undefined>,
  ): Promise<WholeSource> {
    const opened = await openBatches(dataset, source, await this.jobs.chosenRecords(job.id));
    if (opened === null) throw emptySource(job);
    const described = { identity: source.identity, expectedBytes: null };
    const { cutting, head } = await this.pin(job, run.claim, dataset, described, opened.head, counting);
    const own = await this.provenanceOf(job, dataset);
    const isStored = Object.keys(own).some((name) => name in opened.provenance);
    const told = { ...head, context: isStored ? { ...own, ...opened.provenance } : own };
    run.publisher = this.publisherFor(job, run, cutting, told, false);
    const end = await publishBatches(opened.batches, run.publisher);
    if (end === null) throw emptySource(job);
    return { end, bytes: opened.bytesRead() };
  }

  /** Pins head and cutting when the job starts; a resumed job must find the same head again. */
  private async pin(
    job: Job,
    claim: Claim,
    dataset: Dataset,
    source: Pick<ByteSource, 'identity' | 'expectedBytes'>,
    { prologue, lineEnd, bytes, lines }: SourceHead,
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
    const start = this.startOf(dataset, source, { head, lineEnd, partitions });
    await this.jobs.start(claim, start, (client) => makeStaging(client, dataset, job, head, this.targets));
    return { cutting: start.cutting, head };
  }

  private startOf(
    dataset: Dataset,
    { identity: sourceIdentity, expectedBytes }: Pick<ByteSource, 'identity' | 'expectedBytes'>,
    { head, lineEnd, partitions }: Pick<PinnedCutting, 'lineEnd' | 'partitions'> & { head: PinnedHead },
  ): JobStart {
    const cutting: PinnedCutting = {
      format: dataset.format,
      lineEnd,
      maxBatchBytes: this.config.maxBatchBytes,
      maxBatchRecords: this.config.maxBatchRecords,
      maxRecordBytes: this.config.maxRecordBytes,
      partitions,
    };
    const { contractVersion } = dataset;
    return { cutting, head, sourceIdentity, expectedBytes, contractVersion, signed: this.seal !== null };
  }

  /** Of a job that has started, so that a later run that cuts its batches again states the same. */
  private async provenanceOf(job: Job, dataset: Dataset): Promise<Readonly<Record<string, string>>> {
    const facts = { source: job.source.display, job: job.id, startedAt: '' };
    if (Object.keys(provenanceOf(dataset, facts, job.mode)).length === 0) return {};
    const startedAt = job.startedAt ?? (await this.jobs.load(job.id)).startedAt ?? job.createdAt;
    return provenanceOf(dataset, { ...facts, startedAt: startedAt.toISOString() }, job.mode);
  }

  private publisherFor(
    job: Job,
    { claim, signal, lease, log, work }: Run,
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
      onSending: (batch) => this.sending(job, batch, work),
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

  private sending({ id, dataset }: Job, batch: RawBatch, work: TracedWork | undefined): SentBatch {
    const passed = this.metrics.inFlight.begin(1, batch.bytes.length);
    const span = this.tracing?.begin(
      'publish',
      { job: id, dataset },
      {
        parent: work?.traceparent,
        attributes: {
          'sluice.batch': batch.batch,
          'sluice.records': batch.records,
          'sluice.bytes': batch.bytes.length,
        },
      },
    );
    return {
      traceparent: span?.traceparent,
      over: (error) => {
        passed();
        span?.end(error === null ? undefined : codeOf(error));
      },
    };
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

  /** Saves what was reached, and releases the job or fails it. @throws SluiceError JOB_LOST */
  private async leave({ claim, log, publisher }: Run, error: unknown, draining: boolean): Promise<void> {
    if (publisher?.checkpoint) await this.jobs.saveCheckpoint(claim, publisher.checkpoint);
    if (draining || isTransient(error)) {
      log.warn({ err: error }, 'released the job; it will be retried');
      if (draining) await this.jobs.release(claim);
      else {
        const waits = this.jobs.waitsOf({ id: claim.id, wait: null }, log);
        waits.declare('SERVER_AWAY', messageOf(error));
        await waits.settled();
        await this.jobs.release(claim, RETRY_AFTER_SECONDS);
      }
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

/** One claim of one job by this process. */
interface Run {
  readonly claim: Claim;
  readonly log: Logger;
  readonly lease: LeaseKeeper;
  /** Aborted when the job is lost or the process has to end. */
  readonly signal: AbortSignal;
  /** Once the source's header is read. */
  publisher?: BatchPublisher;
  /** Once the job is loaded, while traces are on. */
  work?: TracedWork | undefined;
  /** Why the run has ended before the source did. */
  fault?: string;
}

/** A source that was read to its end. */
interface WholeSource {
  /** Behind its last record. */
  readonly end: Checkpoint;
  /** Its length, counted as it was read. */
  readonly bytes: number;
}

function emptySource({ source }: Job): SluiceError {
  return new SluiceError('SOURCE_EMPTY', 'The source has no records.', { file: source.display });
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
