import { topicOf } from '#core/message/topics.js';
import type { ChaosDatabase } from './chaos-database.js';
import { RESENT_TOPICS } from './chaos-plan.js';
import type { ChaosTopics, Offsets } from './topics.js';

/** What was committed at one moment, and what was durable right after it. */
interface Sample {
  readonly job: string;
  readonly committedRaw: Offsets;
  readonly cleanEnds: Offsets;
  readonly committedClean: Offsets;
  readonly loaded: ReadonlySet<number>;
}

/**
 * G4: no offset is committed before what follows from its message is durable. Sampled while a job runs: first what is
 * committed, then what is durable; the messages themselves are read when the round is over.
 */
export class OffsetAudit {
  private readonly samples: Sample[] = [];
  private readonly starts = new Map<string, Offsets>();
  private isLost = false;
  private readonly raw: string;
  private readonly clean: string;

  constructor(
    private readonly topics: ChaosTopics,
    private readonly database: ChaosDatabase,
    private readonly dataset: string,
  ) {
    this.raw = topicOf(dataset, 'raw');
    this.clean = topicOf(dataset, 'clean');
  }

  /** Before the round's job. */
  async begin(): Promise<void> {
    for (const kind of RESENT_TOPICS) {
      const topic = topicOf(this.dataset, kind);
      this.starts.set(topic, await this.topics.ends(topic));
    }
  }

  /** Where the round's messages begin. */
  startOf(topic: string): Offsets {
    return this.starts.get(topic) ?? new Map<number, number>();
  }

  /** The broker has lost messages: nothing that was committed or durable before says anything any more. */
  forget(): void {
    this.samples.length = 0;
    this.isLost = true;
  }

  /** Does nothing while Kafka or PostgreSQL is away, or the job does not load. */
  async sample(job: string): Promise<void> {
    if (this.isLost) return;
    try {
      const committedClean = await this.topics.committed('sluice-loader', this.clean);
      const state = await this.database.job(job);
      const rows = await this.database.rows<{ batch: string }>(
        'SELECT batch FROM sluice.ledger WHERE job = $1',
        [job],
      );
      const committedRaw = await this.topics.committed('sluice-validator', this.raw);
      const cleanEnds = await this.topics.ends(this.clean);
      if (state === null || !['running', 'finalizing'].includes(state.state)) return;
      const loaded = new Set(rows.map(({ batch }) => Number(batch)));
      this.samples.push({ job, committedRaw, cleanEnds, committedClean, loaded });
    } catch {
      return;
    }
  }

  /** @returns a sentence for each offset that was committed too early */
  async judge(): Promise<string[]> {
    if (this.samples.length === 0) return [];
    const raw = await this.batches(this.raw);
    const clean = await this.batches(this.clean);
    return this.samples.flatMap(({ job, committedRaw, cleanEnds, committedClean, loaded }) => {
      const validated = new Set(
        clean.filter((m) => m.job === job && isBefore(m, cleanEnds)).map((m) => m.batch),
      );
      const early = (
        what: string,
        messages: readonly Batch[],
        offsets: Offsets,
        durable: ReadonlySet<number>,
      ) =>
        messages
          .filter((m) => m.job === job && isBefore(m, offsets) && !durable.has(m.batch))
          .map((m) => `the ${what} offset of batch ${m.batch} was committed before its work was durable`);
      return [
        ...early('raw', raw, committedRaw, validated),
        ...early('clean', clean, committedClean, loaded),
      ];
    });
  }

  private async batches(topic: string): Promise<Batch[]> {
    const messages = await this.topics.read(topic, this.startOf(topic), await this.topics.ends(topic));
    return messages.map(({ place, headers }) => ({
      partition: place.partition,
      offset: Number(place.offset),
      job: String(headers.job),
      batch: Number(String(headers.batch)),
    }));
  }
}

interface Batch {
  readonly partition: number;
  readonly offset: number;
  readonly job: string;
  readonly batch: number;
}

function isBefore({ partition, offset }: Batch, offsets: Offsets): boolean {
  return offset < (offsets.get(partition) ?? 0);
}
