import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { crc32c } from '@node-rs/crc32';
import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import type { OutgoingMessage } from '#common/kafka/message.js';
import { backoffOf } from '#common/kafka/transport/backoff.js';
import type { Publisher } from '#common/kafka/transport/publisher.js';
import { withTraceparent } from '#common/kafka/traceparent.js';
import type { Checkpoint } from '#core/job/job.entity.js';
import type { MessageSeal } from '#core/message/message-seal.js';
import { encodeRawMessage, type RawMessage } from '#core/message/raw-message.js';
import { type BatchEvent, encodeStatusEvent } from '#core/message/status-event.js';
import type { RawBatch } from '#core/record/raw-batch.js';

export type RawMessageFacts = Omit<RawMessage, 'batch' | 'crc32c'>;

export interface BatchPublisherOptions {
  readonly publisher: Publisher;
  readonly facts: RawMessageFacts;
  /** Pinned partitions of the raw topic. */
  readonly partitions: number;
  readonly maxInFlight: number;
  /** Of a job whose messages are sealed. */
  readonly seal?: MessageSeal | null;
  /** Where an earlier run of the job had got to: batches before `nextBatch` are there already. */
  readonly resumeFrom: Checkpoint | null;
  /** The first batch that is offered is `resumeFrom.nextBatch`, because the source is read on from there; else 0. */
  readonly beginsThere: boolean;
  /** Batches from here on are published though they are before the checkpoint: some are in no topic any more. */
  readonly republishFrom: number | null;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Resolves when the job may publish: at once, unless it is paused. */
  readonly clearance: () => Promise<void>;
  /** Called with each batch as it is sent. */
  readonly onSending?: (batch: RawBatch) => SentBatch;
  /** Called with each batch that is acknowledged and announced. */
  readonly onPublished: (batch: RawBatch) => void;
  /** What publishing waits for, each time that it is tried again; null when a message has arrived after that. */
  readonly onWaiting: (reason: string | null) => void;
}

/** A batch that is on its way. */
export interface SentBatch {
  /** Of the span that sends it; undefined while traces are off. */
  readonly traceparent: string | undefined;
  /** It is acknowledged and announced, or given up. */
  readonly over: (error: unknown) => void;
}

/** No waiting makes a batch smaller, or brings back partitions of a topic that was created again. */
const ENDS_THE_JOB: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'PARTITION_MISSING']);

/**
 * Publishes the raw batches of one job, several requests in flight.
 *
 * Invariants
 * - BP1 (G1): batches are offered in order without a gap; the checkpoint is the highest *contiguous*
 *   acknowledged batch, so nothing before it can be missing. It never falls behind the earlier run's.
 * - BP2 (G10): brokers that do not acknowledge are asked again until they do or the job is ended, and the job shows
 *   that it waits; a batch that arrives twice is the same batch.
 * - BP3: at most `maxInFlight` batches wait for their acknowledgement, so memory is bounded.
 * - BP4: of a resumed job's batches before its checkpoint those before `republishFrom` are not published again. All
 *   of them that are read again are proved, by the chain of hashes, to be what was published then; otherwise
 *   SOURCE_CHANGED, and nothing behind the checkpoint is published.
 * - BP5: no batch goes out without clearance; `settle` has resolved when nothing of this job is under way any more.
 */
export class BatchPublisher {
  private readonly inFlight = new Set<Promise<void>>();
  private readonly passed = new Map<number, Checkpoint>();
  /** Behind the last batch that was offered. */
  private offered: Checkpoint | null;
  private contiguous: Checkpoint | null;
  private failure: Error | null = null;
  private readonly aborted: Promise<void>;

  constructor(private readonly options: BatchPublisherOptions) {
    const { signal } = options;
    this.aborted = new Promise((resolve) => {
      if (signal.aborted) resolve();
      else
        signal.addEventListener(
          'abort',
          () => {
            resolve();
          },
          { once: true },
        );
    });
    this.offered = this.contiguous = options.beginsThere ? options.resumeFrom : null;
  }

  /** The checkpoint to save; null before the first acknowledgement. */
  get checkpoint(): Checkpoint | null {
    return this.isBeforeCheckpoint(this.contiguous) ? this.options.resumeFrom : this.contiguous;
  }

  /** Batches were published again, and what came before the checkpoint is not proved yet. */
  get hasUnprovedBatches(): boolean {
    const { republishFrom } = this.options;
    return (
      republishFrom !== null &&
      (this.offered?.nextBatch ?? 0) > republishFrom &&
      this.isBeforeCheckpoint(this.offered)
    );
  }

  /** Resolves when the batch is under way, which may mean waiting for an earlier one's acknowledgement. */
  async publish(batch: RawBatch): Promise<void> {
    const after = checkpointAfter(batch, this.offered);
    this.prove(after);
    if (this.isThereAlready(batch.batch)) {
      this.offered = after;
      this.pass(after);
      return;
    }
    while (this.inFlight.size >= this.options.maxInFlight)
      await this.unlessAborted(Promise.race(this.inFlight));
    await this.options.clearance();
    this.throwIfFailed();
    this.offered = after;
    const sent = this.options.onSending?.(batch);
    const sending = this.sendUntilAcknowledged(batch, after, sent?.traceparent)
      .then(
        () => sent?.over(null),
        (error: unknown) => {
          sent?.over(error);
          throw error;
        },
      )
      .catch((error: unknown) => {
        this.failure ??= error instanceof Error ? error : new SluiceError('INTERNAL', messageOf(error));
      })
      .finally(() => this.inFlight.delete(sending));
    this.inFlight.add(sending);
  }

  /** Resolves when every batch is acknowledged. @throws SluiceError SOURCE_CHANGED when the source ends too early (BP4) */
  async drain(): Promise<void> {
    await this.unlessAborted(this.settle());
    this.throwIfFailed();
    if (this.isBeforeCheckpoint(this.offered)) {
      throw this.changed('it ends before the place that had been read');
    }
  }

  /** Resolves when nothing is under way any more, acknowledged or not; never rejects. */
  async settle(): Promise<void> {
    await Promise.all(this.inFlight);
  }

  /** Waits no longer than the job is ours: brokers may be silent for minutes. @throws the signal's reason */
  private async unlessAborted(work: Promise<void>): Promise<void> {
    await Promise.race([work, this.aborted]);
    this.options.signal.throwIfAborted();
  }

  /** BP4: compares the chain where the earlier run's ended. */
  private prove(after: Checkpoint): void {
    const { resumeFrom } = this.options;
    if (resumeFrom === null || this.options.beginsThere) return;
    if (after.nextBatch !== resumeFrom.nextBatch) return;
    // The places, too: of a record that is streamed past only the first bytes are in the chain.
    const isSame =
      after.chainSha256 === resumeFrom.chainSha256 &&
      after.byteOffset === resumeFrom.byteOffset &&
      after.nextRecord === resumeFrom.nextRecord &&
      after.nextLine === resumeFrom.nextLine;
    if (!isSame) throw this.changed(`its first ${resumeFrom.byteOffset} bytes differ`);
  }

  private isThereAlready(batch: number): boolean {
    const { resumeFrom, republishFrom } = this.options;
    if (resumeFrom === null || batch >= resumeFrom.nextBatch) return false;
    return republishFrom === null || batch < republishFrom;
  }

  private isBeforeCheckpoint(place: Checkpoint | null): boolean {
    return (place?.nextBatch ?? 0) < (this.options.resumeFrom?.nextBatch ?? 0);
  }

  private async sendUntilAcknowledged(
    batch: RawBatch,
    after: Checkpoint,
    traceparent: string | undefined,
  ): Promise<void> {
    const { facts, partitions, seal } = this.options;
    const unsealed = withTraceparent(encodeRawMessage({ ...facts, batch }, partitions), traceparent);
    const message = seal?.sealed(unsealed) ?? unsealed;
    const event = encodeStatusEvent(this.eventOf(batch));
    await this.sendPersistently([message], batch.batch);
    await this.sendPersistently([event], batch.batch);
    faultPoint('ingestor.published');
    // Last, so that what a resumed job does not publish again has been announced too.
    this.pass(after);
    this.options.onPublished(batch);
  }

  private async sendPersistently(messages: OutgoingMessage[], batch: number): Promise<void> {
    const { publisher, signal, logger, facts, onWaiting } = this.options;
    for (let attempt = 1; ; attempt++) {
      try {
        await publisher.send(messages);
        if (attempt > 1) onWaiting(null);
        return;
      } catch (error) {
        // Only the batch's own size, and partitions that are gone for good, say something about the job (G10).
        if (!(error instanceof SluiceError) || ENDS_THE_JOB.has(error.code)) throw error;
        logger.warn({ job: facts.job, batch, attempt }, `waiting to publish: ${error.message}`);
        onWaiting(error.message);
        // An abort ends the wait, and is checked only here: what is under way is announced when it arrives.
        await delay(backoffOf(attempt, error), undefined, { signal }).catch(() => undefined);
        signal.throwIfAborted();
      }
    }
  }

  /** BP1: the checkpoint moves only over batches that follow each other. */
  private pass(after: Checkpoint): void {
    this.passed.set(after.nextBatch - 1, after);
    for (;;) {
      const next = this.passed.get(this.contiguous?.nextBatch ?? 0);
      if (!next) return;
      this.passed.delete(next.nextBatch - 1);
      this.contiguous = next;
    }
  }

  private throwIfFailed(): void {
    if (this.failure) throw this.failure;
  }

  private changed(how: string): SluiceError {
    const { job } = this.options.facts;
    return new SluiceError('SOURCE_CHANGED', `The source is not what this job had read: ${how}.`, { job });
  }

  private eventOf(batch: RawBatch): BatchEvent {
    const { dataset, job, epoch } = this.options.facts;
    return {
      type: 'batch',
      dataset,
      job,
      epoch,
      batch: batch.batch,
      stage: 'ingest',
      records: batch.records,
      bytes: batch.byteEnd - batch.byteStart,
      accepted: batch.records,
      refused: 0,
      skipped: 0,
      warnings: 0,
      findings: {},
      at: new Date().toISOString(),
    };
  }
}

/** The place behind a batch, and the next link of the chain (see `Checkpoint.chainSha256`). */
function checkpointAfter(batch: RawBatch, before: Checkpoint | null): Checkpoint {
  const link = createHash('sha256');
  if (before) link.update(Buffer.from(before.chainSha256, 'hex'));
  // Equal records in other messages are other messages.
  if (batch.messages !== undefined) link.update(batch.messages);
  if (batch.head !== undefined) link.update(JSON.stringify(batch.head));
  return {
    nextBatch: batch.batch + 1,
    byteOffset: batch.byteEnd,
    nextRecord: batch.firstRecord + batch.records,
    nextLine: batch.firstLine + batch.lines,
    chainSha256: link.update(batch.bytes).digest('hex'),
    crc32cSum: (before?.crc32cSum ?? 0) + crc32c(batch.bytes),
  };
}
