import { Kafka, type Producer, logLevel } from 'kafkajs';
import { SluiceError } from '#common/errors/sluice-error.js';
import { topicOf } from '#core/message/topics.js';
import { eventually } from '#test/support/eventually.js';
import type { SteadyRecord } from '../streams/steady-records.js';
import type { BenchSystem } from './bench-system.js';

/** A bound for what hangs. */
const LONGEST_MS = 300_000;

/** A stream keeps its settings when it is stopped: those of the case before. */
const USUAL_RANGE = { maxRecords: 20_000, maxMs: 1_000 };

/** What the head of the table's extract says. */
const EXTRACT_HEADERS = { context: JSON.stringify({ date: '2026-09-01' }) };

/** Records that were produced together: where they stand, and when they were handed to the client. */
export interface Produced {
  readonly partition: number;
  /** Of the first; the others follow it. */
  readonly offset: number;
  readonly records: number;
  readonly at: number;
}

/** A job of a stream, and when its records were visible. */
export interface StreamedJob {
  readonly id: string;
  readonly state: string;
  readonly createdAt: number;
  readonly visibleAt: number | null;
  /** Partition → [from, to). */
  readonly ranges: ReadonlyMap<number, readonly [number, number]>;
}

/** The inbox of one dataset and its stream, as a producer and an operator have them. */
export class Inbox {
  private portions = 0;

  private constructor(
    private readonly system: BenchSystem,
    private readonly dataset: string,
    private readonly producer: Producer,
    private readonly partitions: number,
  ) {}

  static async open(system: BenchSystem, dataset: string): Promise<Inbox> {
    const kafka = new Kafka({ brokers: [...system.kafkaBrokers], logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    const { partitions } = await system.client.stream(dataset);
    return new Inbox(system, dataset, producer, Math.max(1, partitions.length));
  }

  /** Drains the stream, so that it makes no more jobs, and disconnects. */
  async close(): Promise<void> {
    await this.producer.disconnect();
    await this.drain();
  }

  /** Runs the stream with these settings, and else with the usual ones; resolves when an ingestor attends to it. */
  async start(settings: { readonly maxRecords?: number; readonly maxMs?: number }): Promise<void> {
    const { client } = this.system;
    await this.drain();
    await client.startStream(this.dataset, { ...USUAL_RANGE, ...settings });
    await eventually(
      async () => (await client.stream(this.dataset)).attended,
      'an ingestor to attend to the stream',
    );
  }

  /** Sends them to one partition, to another each time. */
  async produce(lines: readonly string[], columns: readonly string[]): Promise<Produced> {
    const at = Date.now();
    const partition = this.portions++ % this.partitions;
    const headers = { columns: JSON.stringify(columns) };
    const [answer] = await this.producer.send({
      topic: topicOf(this.dataset, 'inbox'),
      messages: lines.map((value) => ({ value, partition, headers })),
    });
    return { partition, offset: Number(answer?.baseOffset), records: lines.length, at };
  }

  /**
   * Sends each record to the partition that its row has.
   * @param at of what is returned
   */
  async produceKeyed(records: readonly SteadyRecord[], at: number): Promise<Produced[]> {
    const answers = await this.producer.send({
      topic: topicOf(this.dataset, 'inbox'),
      messages: records.map(({ row, line }) => ({
        value: line,
        partition: row % this.partitions,
        headers: EXTRACT_HEADERS,
      })),
    });
    return answers.map(({ partition, baseOffset }) => ({
      partition,
      offset: Number(baseOffset),
      records: records.filter(({ row }) => row % this.partitions === partition).length,
      at,
    }));
  }

  /** Jobs of the stream since `after` (an id), the oldest first. */
  async jobs(after: string): Promise<StreamedJob[]> {
    const { rows } = await this.system.database.query<Omit<StreamedJob, 'ranges'> & { address: string }>(
      `SELECT id, state, source->>'display' AS address, 1000 * extract(epoch FROM created_at)::float8 AS "createdAt",
         1000 * extract(epoch FROM finished_at)::float8 AS "visibleAt"
       FROM sluice.job WHERE stream = $1 AND id > $2 ORDER BY id`,
      [this.dataset, after],
    );
    return rows.map(({ address, ...job }) => ({ ...job, ranges: rangesOf(address) }));
  }

  /** The id of the newest job, for {@link jobs}. */
  async newest(): Promise<string> {
    const { rows } = await this.system.database.query<{ id: string }>(
      'SELECT id FROM sluice.job ORDER BY id DESC LIMIT 1',
    );
    return rows[0]?.id ?? '00000000-0000-0000-0000-000000000000';
  }

  /** @returns the jobs once `count` of them have ended @throws SluiceError INTERNAL when one has not succeeded */
  async succeeded(after: string, count: number): Promise<StreamedJob[]> {
    let jobs: StreamedJob[] = [];
    await eventually(async () => {
      jobs = await this.jobs(after);
      return jobs.length >= count && jobs.every(({ visibleAt }) => visibleAt !== null);
    }, `${count} jobs of the stream to end`);
    const other = jobs.find(({ state }) => state !== 'succeeded');
    if (other !== undefined)
      throw new SluiceError('INTERNAL', `Job ${other.id} of the stream is ${other.state}.`);
    return jobs;
  }

  /**
   * @returns the jobs since `after`, once they hold all of these records and have ended
   * @throws SluiceError INTERNAL when one has not succeeded, or the stream has paused
   */
  async ended(after: string, produced: readonly Produced[]): Promise<StreamedJob[]> {
    let jobs: StreamedJob[] = [];
    await eventually(
      async () => {
        jobs = await this.jobs(after);
        const { state, detail } = await this.system.client.stream(this.dataset);
        const other = jobs.find((job) => job.visibleAt !== null && job.state !== 'succeeded');
        if (state !== 'running' || other !== undefined)
          throw new SluiceError(
            'INTERNAL',
            `The stream is ${state}, ${detail?.message ?? `its job ${other?.id ?? ''} ${other?.state ?? ''}`}.`,
          );
        return jobs.every(({ visibleAt }) => visibleAt !== null) && areIn(produced, jobs);
      },
      'jobs of the stream to end',
      LONGEST_MS,
    );
    return jobs;
  }

  private async drain(): Promise<void> {
    const { client } = this.system;
    const { state } = await client.stream(this.dataset);
    if (state === 'stopped') return;
    await client.drainStream(this.dataset);
    await eventually(
      async () => (await client.stream(this.dataset)).state === 'stopped',
      'the stream to be drained',
    );
  }
}

function areIn(produced: readonly Produced[], jobs: readonly StreamedJob[]): boolean {
  const ends = new Map<number, number>();
  for (const { ranges } of jobs)
    for (const [partition, [, to]] of ranges) ends.set(partition, Math.max(to, ends.get(partition) ?? 0));
  return produced.every(({ partition, offset, records }) => (ends.get(partition) ?? 0) >= offset + records);
}

/** `topic://<topic>?<partition>=<from>-<to>&…` */
function rangesOf(address: string): Map<number, readonly [number, number]> {
  const pairs = new URLSearchParams(address.slice(address.indexOf('?') + 1));
  return new Map(
    [...pairs].map(([partition, range]) => {
      const [from = NaN, to = NaN] = range.split('-').map(Number);
      return [Number(partition), [from, to]];
    }),
  );
}
