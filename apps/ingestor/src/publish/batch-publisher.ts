import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import type { OutgoingMessage } from '#common/kafka/message.js';
import type { Publisher } from '#common/kafka/publisher.js';
import type { Checkpoint } from '#core/job/job.entity.js';
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
  /** Where an earlier run of the job had got to: batches before `nextBatch` are there already. */
  readonly resumeFrom: Checkpoint | null;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Told of each batch that is acknowledged and announced. */
  readonly onPublished: (batch: RawBatch) => void;
}

const FIRST_BACKOFF_MS = 200;
const LONGEST_BACKOFF_MS = 5_000;

/**
 * Publishes the raw batches of one job, several requests in flight.
 *
 * Invariants
 * - P1 (G1): batches are offered in order without a gap; the checkpoint is the highest *contiguous*
 *   acknowledged batch, so nothing before it can be missing.
 * - P2 (G10): brokers that do not acknowledge are asked again until they do or the job is ended; a batch
 *   that arrives twice is the same batch.
 * - P3: at most `maxInFlight` batches wait for their acknowledgement, so memory is bounded.
 * - P4: a resumed job's batches before its checkpoint are not published again but proved, by hash, to be
 *   what was published then; otherwise SOURCE_CHANGED.
 */
export class BatchPublisher {
  private readonly inFlight = new Set<Promise<void>>();
  private readonly acknowledged = new Map<number, Checkpoint>();
  private readonly prefixHash = createHash('sha256');
  private contiguous: Checkpoint | null = null;
  private failure: Error | null = null;

  constructor(private readonly options: BatchPublisherOptions) {}

  /** The checkpoint to save; null before the first acknowledgement. */
  get checkpoint(): Checkpoint | null {
    return this.contiguous;
  }

  /** Resolves when the batch is under way, which may mean waiting for an earlier one's acknowledgement. */
  async publish(batch: RawBatch): Promise<void> {
    this.prefixHash.update(batch.bytes);
    const after: Checkpoint = {
      nextBatch: batch.batch + 1,
      byteOffset: batch.byteEnd,
      nextRecord: batch.firstRecord + batch.records,
      nextLine: batch.firstLine + batch.lines,
      chainSha256: this.prefixHash.copy().digest('hex'),
    };
    if (this.isPublishedAlready(after)) return;
    while (this.inFlight.size >= this.options.maxInFlight) await Promise.race(this.inFlight);
    this.throwIfFailed();
    const sending = this.sendUntilAcknowledged(batch, after)
      .catch((error: unknown) => {
        this.failure ??= error instanceof Error ? error : new SluiceError('INTERNAL', messageOf(error));
      })
      .finally(() => this.inFlight.delete(sending));
    this.inFlight.add(sending);
  }

  /** Resolves when every batch is acknowledged. @throws SluiceError SOURCE_CHANGED when the source ends too early (P4) */
  async drain(): Promise<void> {
    await Promise.all(this.inFlight);
    this.throwIfFailed();
    const { resumeFrom, facts } = this.options;
    if (resumeFrom !== null && (this.contiguous?.nextBatch ?? 0) < resumeFrom.nextBatch) {
      throw new SluiceError('SOURCE_CHANGED', 'The source ends before the place where it was interrupted.', {
        job: facts.job,
      });
    }
  }

  private isPublishedAlready(after: Checkpoint): boolean {
    const { resumeFrom } = this.options;
    if (resumeFrom === null || after.nextBatch > resumeFrom.nextBatch) return false;
    if (after.nextBatch === resumeFrom.nextBatch && after.chainSha256 !== resumeFrom.chainSha256) {
      throw new SluiceError(
        'SOURCE_CHANGED',
        `The source is not what was read before the interruption: its first ${after.byteOffset} bytes differ.`,
        { job: this.options.facts.job, batch: after.nextBatch - 1 },
      );
    }
    this.contiguous = after;
    return true;
  }

  private async sendUntilAcknowledged(batch: RawBatch, after: Checkpoint): Promise<void> {
    const message = encodeRawMessage({ ...this.options.facts, batch }, this.options.partitions);
    const event = encodeStatusEvent(this.eventOf(batch));
    await this.sendPersistently([message], batch.batch);
    await this.sendPersistently([event], batch.batch);
    // Last, so that what a resumed job does not publish again has been announced too.
    this.acknowledged.set(batch.batch, after);
    this.advance();
    this.options.onPublished(batch);
  }

  private async sendPersistently(messages: OutgoingMessage[], batch: number): Promise<void> {
    const { publisher, signal, logger, facts } = this.options;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        await publisher.send(messages);
        return;
      } catch (error) {
        if (!(error instanceof SluiceError) || !error.retryable) throw error;
        logger.warn({ job: facts.job, batch, attempt }, `waiting to publish: ${error.message}`);
        const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** (attempt - 1), LONGEST_BACKOFF_MS);
        // An abort ends the wait; its reason is thrown above.
        await delay(backoffMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** P1: the checkpoint moves only over batches that follow each other. */
  private advance(): void {
    for (;;) {
      const next = this.acknowledged.get(this.contiguous?.nextBatch ?? 0);
      if (!next) return;
      this.acknowledged.delete(next.nextBatch - 1);
      this.contiguous = next;
    }
  }

  private throwIfFailed(): void {
    if (this.failure) throw this.failure;
  }

  private eventOf(batch: RawBatch): BatchEvent {
    const { dataset, job } = this.options.facts;
    return {
      type: 'batch',
      dataset,
      job,
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
