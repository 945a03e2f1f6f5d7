import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import type { MessagePlace } from '#common/kafka/message.js';
import { readMessages } from '#common/kafka/message-reader.js';
import type { Publisher } from '#common/kafka/publisher.js';
import type { JobState } from '#core/job/job-state.js';
import { type UnannouncedBatch, unannouncedBatches } from '#core/ledger/ledger.repository.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import type { Announcer } from './announcer.js';
import { RefusalOutbox } from './refusal-outbox.js';

/** Of one turn, so that jobs take turns: some seconds of reading. */
const BATCHES_A_TURN = 128;

/**
 * Says in the topics what the database knows already: the ledger is the outbox.
 * Everything here may be repeated; dead letters and events have natural ids.
 *
 * - KA1: what cannot be read any more (expired, beyond the end of a topic that was made again, of another job, not
 *   decodable) goes out without its bytes: it must not keep the rest, or the job's end, from being announced.
 * - KA2 (G9): what is held at once does not grow with the refusals of a job, nor with those of a batch.
 */
export class KafkaAnnouncer implements Announcer {
  constructor(
    private readonly pool: pg.Pool,
    private readonly kafka: Kafka,
    private readonly publisher: Publisher,
  ) {}

  async announceRefusals(job: string): Promise<boolean> {
    const batches = await unannouncedBatches(this.pool, job, BATCHES_A_TURN);
    // Two batches may have one place: in a topic that was made again a resumed job's batches begin at offset 0 once more.
    const byPlace = new Map<string, { place: MessagePlace; batches: UnannouncedBatch[] }>();
    for (const batch of batches) {
      const place = placeOf(batch);
      const there = byPlace.get(keyOf(place));
      if (there) there.batches.push(batch);
      else byPlace.set(keyOf(place), { place, batches: [batch] });
    }
    const batchesAt = (place: MessagePlace): UnannouncedBatch[] => byPlace.get(keyOf(place))?.batches ?? [];
    const outbox = new RefusalOutbox(this.pool, this.publisher, job);
    await readMessages(
      this.kafka,
      [...byPlace.values()].map(({ place }) => place),
      async (message) => {
        for (const batch of batchesAt(message.place)) await outbox.add(batch, message);
      },
      async (place, reason) => {
        for (const batch of batchesAt(place)) await outbox.addWithoutBytes(batch, reason);
      },
    );
    await outbox.flush();
    return batches.length === BATCHES_A_TURN;
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

const placeOf = ({ rawTopic, rawPartition, rawOffset }: UnannouncedBatch): MessagePlace => ({
  topic: rawTopic,
  partition: rawPartition,
  offset: rawOffset,
});

const keyOf = ({ topic, partition, offset }: MessagePlace): string => `${topic}/${partition}/${offset}`;
