import type { Kafka } from 'kafkajs';
import type { TopicPlace, TraceProgress } from '#api/trace.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ReadMessage } from '#common/kafka/message.js';
import { OffsetOutOfRange } from '#common/kafka/transport/offset-out-of-range.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import { type RawMessage, decodeRawMessage } from '#core/message/raw-message.js';
import { topicOf } from '#core/message/topics.js';
import { BatchMessages } from '#core/record/message-table.js';
import { KeyFinder, type Sighting } from '#core/trace/key-finder.js';
import type { WantedKey } from '#core/trace/wanted-key.js';

/** One record of a batch of the raw topic. */
export interface RawSighting {
  readonly job: string;
  readonly epoch: number;
  readonly sighting: Sighting;
  readonly raw: TopicPlace;
  readonly message: TopicPlace | null;
}

export interface RawBounds {
  readonly job: string | null;
  /** ms since 1970. */
  readonly from: number | null;
  readonly to: number | null;
}

/** Offsets of a partition: [from, to). */
interface Span {
  readonly from: bigint;
  readonly to: bigint;
}

export interface RawSearchFacts {
  readonly batches: number;
  readonly unreadable: number;
  readonly withoutKey: number;
  /** ms since 1970; null where no message was read. */
  readonly oldest: number | null;
}

/** What was there when the search began is there: brokers that give none of it for so long are not well. */
const MAX_MS_WITHOUT_PROGRESS = 30_000;
/** Finders of the files and messages that were met last. */
const MAX_FINDERS = 16;
const FETCH = { maxWaitMs: 500, maxBytes: 4 * 1024 * 1024, maxPartitionBytes: 1024 * 1024 };

/**
 * Searches the raw topic of a dataset for the records of a key, without a consumer group: nothing that consumes the topic
 * notices.
 *
 * - TX1: every batch that the topic had when the search began is searched once. What comes later is not.
 * - TX2 (G9): one answer of the brokers is held at a time, and the event loop gets its turn after each batch.
 * - TX3: what retention deletes while the search is under way is passed, as what it had deleted before.
 */
export class RawSearch {
  private readonly finders = new Map<string, KeyFinder | null>();
  private batches = 0;
  private unreadable = 0;
  private withoutKey = 0;
  private oldest: number | null = null;

  constructor(
    private readonly kafka: Kafka,
    private readonly wanted: WantedKey,
    private readonly bounds: RawBounds,
  ) {}

  get facts(): RawSearchFacts {
    const { batches, unreadable, withoutKey, oldest } = this;
    return { batches, unreadable, withoutKey, oldest };
  }

  /**
   * @param found gets the records, partition by partition in their order, of several partitions in turns
   * @param progressed after each answer of the brokers
   * @throws SluiceError TOPIC_MISSING, BROKER_UNAVAILABLE, BROKER_FAULT; the signal's reason
   */
  async search(
    found: (sighting: RawSighting) => void,
    progressed: (progress: Omit<TraceProgress, 'found'>) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const topic = topicOf(this.wanted.dataset.name, 'raw');
    const reader = await TopicReader.open(this.kafka, topic, new Map(), FETCH);
    try {
      const spans = await this.spans(reader);
      for (const [partition, { from }] of spans) reader.moveTo(partition, from);
      const of = Number([...spans.values()].reduce((sum, { from, to }) => sum + to - from, 0n));
      await progressed({ searched: 0, of });
      await this.read(
        reader,
        spans,
        { found, progressed: (left) => progressed({ searched: of - left, of }) },
        signal,
      );
    } finally {
      await reader.close();
    }
  }

  private async read(
    reader: TopicReader,
    spans: ReadonlyMap<number, Span>,
    report: {
      readonly found: (one: RawSighting) => void;
      readonly progressed: (left: number) => Promise<void>;
    },
    signal: AbortSignal,
  ): Promise<void> {
    for (let left = leftOf(reader, spans), progressedAt = performance.now(); reader.next.size > 0;) {
      const messages = await this.fetch(reader, signal);
      for (const message of messages) {
        const span = spans.get(message.place.partition);
        if (span === undefined || BigInt(message.place.offset) >= span.to) continue;
        this.take(message, report.found);
        await new Promise((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
      }
      const now = leftOf(reader, spans);
      if (now < left || messages.length > 0) progressedAt = performance.now();
      else if (performance.now() - progressedAt > MAX_MS_WITHOUT_PROGRESS)
        throw new SluiceError(
          'BROKER_UNAVAILABLE',
          `${reader.topic}: the brokers give nothing of it for 30 s.`,
        );
      left = now;
      await report.progressed(left);
    }
  }

  /** TX3. */
  private async fetch(reader: TopicReader, signal: AbortSignal): Promise<readonly ReadMessage[]> {
    try {
      return await reader.fetch(signal);
    } catch (error) {
      if (!(error instanceof OffsetOutOfRange)) throw error;
      const { partition, wanted, ends } = error;
      if (wanted < ends.low) reader.moveTo(partition, ends.low);
      else reader.leave(partition); // The topic was created again, and has lost what was to be read.
      return [];
    }
  }

  private take(message: ReadMessage, found: (sighting: RawSighting) => void): void {
    const { job, from, to } = this.bounds;
    const { timestamp } = message;
    if (timestamp >= 0 && (this.oldest === null || timestamp < this.oldest)) this.oldest = timestamp;
    if ((from !== null && timestamp < from) || (to !== null && timestamp >= to)) return;
    if (job !== null && String(message.headers.job) !== job) return;
    try {
      this.searchBatch(decodeRawMessage(message), message, found);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      this.unreadable += 1;
    }
  }

  private searchBatch(raw: RawMessage, message: ReadMessage, found: (sighting: RawSighting) => void): void {
    const finder = this.finderOf(raw);
    if (finder === null) {
      this.withoutKey += 1;
      return;
    }
    const { batch } = raw;
    const messages = batch.messages === undefined ? null : new BatchMessages(batch.messages, batch.batch);
    for (const sighting of finder.find(batch)) {
      const { job, epoch } = raw;
      const place = messages === null ? null : placeOf(messages, sighting.record - batch.firstRecord);
      found({ job, epoch, sighting, raw: message.place, message: place });
    }
    this.batches += 1;
  }

  /** Null: the batch lacks the fields of the key. */
  private finderOf({ columns, context, options }: RawMessage): KeyFinder | null {
    const { finders } = this;
    const key = JSON.stringify([columns, context, options]);
    const known = finders.get(key);
    if (known !== undefined) return known;
    const oldest = finders.keys().next();
    if (finders.size >= MAX_FINDERS && !oldest.done) finders.delete(oldest.value);
    const finder = finderOrNull(this.wanted, { columns, context, options });
    finders.set(key, finder);
    return finder;
  }

  /** TX1: what there is, within the bounds. */
  private async spans(reader: TopicReader): Promise<ReadonlyMap<number, Span>> {
    const spans = new Map<number, Span>();
    const { from } = this.bounds;
    const starts = from === null ? null : await reader.offsetsAt(from);
    for (const [partition, { low, high }] of await reader.ends()) {
      const start = starts?.get(partition) ?? low;
      const span = { from: start > low ? start : low, to: high };
      if (span.from < span.to) spans.set(partition, span);
    }
    return spans;
  }
}

/** Of what is to be read; leaves partitions that are read to their end. */
function leftOf(reader: TopicReader, spans: ReadonlyMap<number, Span>): number {
  let left = 0n;
  for (const [partition, next] of [...reader.next]) {
    const to = spans.get(partition)?.to ?? 0n;
    if (next >= to) reader.leave(partition);
    else left += to - next;
  }
  return Number(left);
}

/** Null where the key's fields are not there. */
export function finderOrNull(
  wanted: WantedKey,
  inputs: ConstructorParameters<typeof KeyFinder>[1],
): KeyFinder | null {
  try {
    return new KeyFinder(wanted, inputs);
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'DATASET_INVALID') return null;
    throw error;
  }
}

function placeOf(messages: BatchMessages, index: number): TopicPlace | null {
  try {
    const { topic, partition, offset } = messages.message(index);
    return { topic, partition, offset: String(offset) };
  } catch (error) {
    if (error instanceof SluiceError) return null;
    throw error;
  }
}
