import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { readMessages } from '#common/kafka/message-reader.js';
import { firstOffsets } from '#common/kafka/topics-admin.js';
import type { Publisher } from '#common/kafka/publisher.js';
import type { JobState } from '#core/job/job-state.js';
import { type UnannouncedBatch, markAnnounced, unannouncedBatches } from '#core/ledger/ledger.repository.js';
import { encodeDeadLetter } from '#core/message/dead-letter-message.js';
import { decodeRawMessage } from '#core/message/raw-message.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import { lettersOf, lettersWithoutBytes } from './refusal-letters.js';

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
  async announceRefusals(job: string): Promise<void> {
    const unannounced = await unannouncedBatches(this.pool, job);
    const firsts = await firstOffsets(this.kafka, [...new Set(unannounced.map(({ rawTopic }) => rawTopic))]);
    const isExpired = ({ rawTopic, rawPartition, rawOffset }: UnannouncedBatch): boolean =>
      BigInt(rawOffset) < (firsts.get(`${rawTopic}/${rawPartition}`) ?? 0n);
    for (const batch of unannounced.filter(isExpired)) {
      await this.publisher.send(lettersWithoutBytes(batch).map(encodeDeadLetter));
      await markAnnounced(this.pool, job, batch);
    }
    const batches = unannounced.filter((batch) => !isExpired(batch));
    const byPlace = new Map(
      batches.map((batch) => [`${batch.rawTopic}/${batch.rawPartition}/${batch.rawOffset}`, batch]),
    );
    const places = batches.map(({ rawTopic, rawPartition, rawOffset }) => ({
      topic: rawTopic,
      partition: rawPartition,
      offset: rawOffset,
    }));
    await readMessages(this.kafka, places, async (message) => {
      const { topic, partition, offset } = message.place;
      const batch = byPlace.get(`${topic}/${partition}/${offset}`);
      if (!batch) return;
      await this.publisher.send(lettersOf(batch, decodeRawMessage(message)).map(encodeDeadLetter));
      await markAnnounced(this.pool, job, batch);
    });
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
