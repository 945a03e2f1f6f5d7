import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { readMessages } from '#common/kafka/message-reader.js';
import type { MessagePlace } from '#common/kafka/message.js';
import type { Publisher } from '#common/kafka/publisher.js';
import type { JobState } from '#core/job/job-state.js';
import { type UnannouncedBatch, markAnnounced, unannouncedBatches } from '#core/ledger/ledger.repository.js';
import { type DeadLetter, encodeDeadLetters } from '#core/message/dead-letter-message.js';
import { decodeRawMessage } from '#core/message/raw-message.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import { lettersOf, lettersWithoutBytes } from './refusal-letters.js';

/** Bound what is held in memory: a batch's letters have at most its half a megabyte of bytes. */
const BATCHES_AT_ONCE = 16;
const LETTERS_AT_ONCE = 1_000;

/**
 * Tells the topics what the database knows already: the ledger is the outbox.
 * Everything here may be repeated; letters and events have natural ids.
 */
export class KafkaAnnouncer {
  constructor(
    private readonly pool: pg.Pool,
    private readonly kafka: Kafka,
    private readonly publisher: Publisher,
  ) {}

  /**
   * Produces the dead letters of every refusal of the job that is not announced yet. Those whose raw batch has
   * expired are told without their bytes: what cannot be read any more must not keep the job's end from being told.
   */
  async announceRefusals(job: string): Promise<boolean> {
    const unannounced = await unannouncedBatches(this.pool, job);
    const untold = new UntoldBatches(this.pool, this.publisher, job);
    const byPlace = new Map(
      unannounced.map((batch) => [`${batch.rawTopic}/${batch.rawPartition}/${batch.rawOffset}`, batch]),
    );
    const batchAt = ({ topic, partition, offset }: MessagePlace): UnannouncedBatch | undefined =>
      byPlace.get(`${topic}/${partition}/${offset}`);
    const places = unannounced.map(({ rawTopic, rawPartition, rawOffset }) => ({
      topic: rawTopic,
      partition: rawPartition,
      offset: rawOffset,
    }));
    await readMessages(
      this.kafka,
      places,
      async (message) => {
        const batch = batchAt(message.place);
        if (batch) await untold.add(batch, lettersOf(batch, decodeRawMessage(message)));
      },
      async (place) => {
        const batch = batchAt(place);
        if (batch) await untold.add(batch, lettersWithoutBytes(batch));
      },
    );
    await untold.tell();
    return false;
  }

  /** Announces the state of a job, or the step of its finalization that has just begun. */
  async announceJob(
    job: { id: string; dataset: string; state: JobState },
    step: string | null = null,
  ): Promise<void> {
    await this.publisher.send([
      encodeStatusEvent({
        type: 'job',
        dataset: job.dataset,
        job: job.id,
        state: job.state,
        step,
        at: new Date().toISOString(),
      }),
    ]);
  }
}

/**
 * Batches whose letters go out together. Of a large file nearly every batch holds a record that has lost its key to
 * another: a request and a commit for each would be hundreds, just while indexes are built.
 */
class UntoldBatches {
  private batches: UnannouncedBatch[] = [];
  private letters: DeadLetter[] = [];

  constructor(
    private readonly pool: pg.Pool,
    private readonly publisher: Publisher,
    private readonly job: string,
  ) {}

  async add(batch: UnannouncedBatch, letters: readonly DeadLetter[]): Promise<void> {
    this.batches.push(batch);
    // Copied: a view would keep all that was fetched with it in memory.
    for (const letter of letters) this.letters.push({ ...letter, bytes: Buffer.from(letter.bytes) });
    if (this.batches.length >= BATCHES_AT_ONCE || this.letters.length >= LETTERS_AT_ONCE) await this.tell();
  }

  /** What was added is acknowledged by the brokers first, and marked then: a repeat does no harm, a loss would. */
  async tell(): Promise<void> {
    const { batches, letters } = this;
    if (batches.length === 0) return;
    this.batches = [];
    this.letters = [];
    await this.publisher.send(encodeDeadLetters(letters));
    await markAnnounced(this.pool, this.job, batches);
  }
}
