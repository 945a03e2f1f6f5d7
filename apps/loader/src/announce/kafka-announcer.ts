import { Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import type { JobState } from '#api/job-words.js';
import type { MessagePlace } from '#common/kafka/message.js';
import { readMessages } from '#common/kafka/transport/message-reader.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { KAFKA, PG_POOL } from '#common/providers/tokens.js';
import type { CsvDialect } from '#core/dataset/csv-dialect.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { type UnannouncedBatch, unannouncedBatches } from '#core/ledger/ledger.repository.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import type { Announcer } from './announcer.js';
import { RefusalOutbox } from './refusal-outbox.js';

/** Of one turn, so that jobs take turns: some seconds of reading. */
const BATCHES_A_TURN = 128;

/**
 * Publishes what the database holds already: the ledger is the outbox.
 * Everything here may be repeated; dead letters and events have natural ids.
 *
 * - KA1: what cannot be read any more (expired, beyond the end of a topic that was made again, of another job, not
 *   decodable) goes out without its bytes: it must not keep the rest, or the job's end, from being announced.
 * - KA2 (G9): memory does not grow with the refusals of a job, nor with those of a batch.
 */
@Injectable()
export class KafkaAnnouncer implements Announcer {
  constructor(
    @Inject(PG_POOL) private readonly pool: pg.Pool,
    @Inject(KAFKA) private readonly kafka: Kafka,
    private readonly publisher: Publisher,
    private readonly registry: DatasetRegistry,
  ) {}

  async announceRefusals(job: string): Promise<boolean> {
    const batches = await unannouncedBatches(this.pool, job, BATCHES_A_TURN);
    // Two batches may have the same place: in a topic that was deleted and created again, a resumed job's batches begin at 0.
    const byPlace = new Map<string, { place: MessagePlace; batches: UnannouncedBatch[] }>();
    for (const batch of batches) {
      const place = placeOf(batch);
      const there = byPlace.get(keyOf(place));
      if (there) there.batches.push(batch);
      else byPlace.set(keyOf(place), { place, batches: [batch] });
    }
    const batchesAt = (place: MessagePlace): UnannouncedBatch[] => byPlace.get(keyOf(place))?.batches ?? [];
    const outbox = new RefusalOutbox(this.pool, this.publisher, job, (dataset) => this.dialectOf(dataset));
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

  /** A job's dataset may be gone; its refusals are announced anyway. */
  private dialectOf(dataset: string): CsvDialect | undefined {
    return this.registry.all().find(({ name }) => name === dataset)?.csv;
  }
}

const placeOf = ({ rawTopic, rawPartition, rawOffset }: UnannouncedBatch): MessagePlace => ({
  topic: rawTopic,
  partition: rawPartition,
  offset: rawOffset,
});

const keyOf = ({ topic, partition, offset }: MessagePlace): string => `${topic}/${partition}/${offset}`;
