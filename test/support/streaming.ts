import { randomUUID } from 'node:crypto';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { StreamStartRequest } from '#api/streams.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { ReadMessage } from '#common/kafka/message.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { Column, Table } from '#core/dataset/columns.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { defineDataset } from '#core/dataset/define-dataset.js';
import type { Claim } from '#core/job/ingest-claim.js';
import { inboxOf } from '#core/message/topics.js';
import type { StreamPosition } from '#core/stream/position.js';
import type { Stream } from '#core/stream/stream.entity.js';
import { StreamRepository } from '#core/stream/stream.repository.js';
import type { MessageSource } from '../../apps/ingestor/src/sources/message-source.js';
import { StreamMetrics } from '../../apps/ingestor/src/streams/stream.metrics.js';
import { type RunsJobs, StreamRun } from '../../apps/ingestor/src/streams/stream-run.js';
import { eventually } from './eventually.js';
import { type JobDatabase, startJobDatabase } from './job-database.js';
import { type TestKafka, startTestKafka } from './kafka.js';

@Table({ name: 'thing', key: ['number'] })
class Thing {
  @Column({ source: 'number' })
  number!: string | null;
}

/** A job of a stream with the messages that it was given. */
export interface TakenJob {
  readonly id: string;
  readonly messages: readonly ReadMessage[];
}

/**
 * Streams on a real broker and a real PostgreSQL. What follows a job's beginning is played: a job ends as the test says, at
 * once and well unless it says otherwise.
 */
export class Streaming {
  readonly streams: StreamRepository;
  /** In the order in which they began. */
  readonly taken: TakenJob[] = [];
  /** What starts jobs with their rows; absent: nothing does. */
  starterOf: RunsJobs['starterOf'];
  /** What becomes of a job: null leaves it as it is. */
  ends: (job: TakenJob) => { readonly refused: number; readonly code?: string } | null = () => ({
    refused: 0,
  });
  dataset!: Dataset;
  readonly publisher: Publisher;
  /** Of the ingestor that claimed the stream last. */
  registry = new Registry();
  /** Of all ingestors so far. */
  lostLeases = 0;
  private readonly runs = new Set<{ readonly drain: AbortController; readonly ended: Promise<void> }>();

  private constructor(
    readonly base: JobDatabase,
    private readonly broker: TestKafka,
    readonly kafka: Kafka,
  ) {
    this.streams = new StreamRepository(base.database, LEASE_SECONDS);
    this.publisher = new Publisher(kafka);
  }

  static async start(): Promise<Streaming> {
    const broker = await startTestKafka();
    const logger = pino({ level: 'silent' });
    const kafka = createKafka({ brokers: broker.brokers, clientId: 'streaming', logger });
    return new Streaming(await startJobDatabase(), broker, kafka);
  }

  async stop(): Promise<void> {
    await this.leave();
    await this.publisher.disconnect();
    await this.base.stop();
    await this.broker.stop();
  }

  get brokers(): string[] {
    return this.broker.brokers;
  }

  get topic(): string {
    return inboxOf(this.dataset);
  }

  get name(): string {
    return this.dataset.name;
  }

  /** Another dataset with an empty inbox and without a stream. */
  async renew(facts: Partial<Dataset> = {}): Promise<void> {
    await this.leave();
    await this.base.forgetJobs();
    await this.base.database.query('TRUNCATE sluice.stream');
    this.taken.length = 0;
    this.ends = () => ({ refused: 0 });
    this.starterOf = undefined;
    const name = `things-${randomUUID()}`;
    this.dataset = { ...defineDataset({ title: 'Things', contract: Thing, inbox: {} }), ...facts, name };
    await this.makeTopic();
  }

  async makeTopic(partitions = 3): Promise<void> {
    await createTopics(this.kafka, [{ topic: this.topic, partitions, config: {} }], 1);
  }

  /** Ends every ingestor of the test. */
  async leave(): Promise<void> {
    for (const { drain } of this.runs) drain.abort(new Error('the test is over'));
    await Promise.all([...this.runs].map(({ ended }) => ended));
    this.runs.clear();
  }

  send(partition: number, ...values: string[]): Promise<void> {
    const { topic } = this;
    return this.publisher.send(
      values.map((value) => ({ topic, partition, key: value, headers: {}, value: Buffer.from(value) })),
    );
  }

  startStream(settings: StreamStartRequest = { maxMs: 50 }): Promise<Stream> {
    return this.streams.start(this.name, settings, this.dataset.contractVersion);
  }

  async stream(): Promise<Stream> {
    const stream = await this.streams.find(this.name);
    if (!stream) throw new Error('no stream');
    return stream;
  }

  /**
   * An ingestor that claims the stream and runs it.
   * @param brokers that it begins with
   * @returns null when there is nothing to claim
   */
  async ingestor(
    instance = 'one',
    brokers = this.brokers,
  ): Promise<{ drain: AbortController; ended: Promise<void>; run: StreamRun } | null> {
    const [stream] = await this.streams.claim(instance, { [this.name]: this.dataset.contractVersion });
    if (!stream) return null;
    const drain = new AbortController();
    this.registry = new Registry();
    const kafka = createKafka({ brokers, clientId: instance, logger: pino({ level: 'silent' }) });
    const run = new StreamRun(
      stream,
      this.dataset,
      {
        ...{ streams: this.streams, kafka, instance, leaseSeconds: LEASE_SECONDS },
        metrics: new StreamMetrics(this.registry),
        logger: pino({ level: 'silent' }),
        runner: {
          run: (claim, _drain, opened) => this.play(claim, opened),
          ...(this.starterOf && { starterOf: this.starterOf }),
        },
        onJob: () => undefined,
        onLeaseLost: () => (this.lostLeases += 1),
      },
      drain.signal,
    );
    const running = { drain, ended: run.run(), run };
    this.runs.add(running);
    return running;
  }

  /** Values of all jobs, in the order in which their jobs began. */
  get values(): string[] {
    return this.taken.flatMap(({ messages }) => messages.map(({ value }) => String(value)));
  }

  /** Waits until these values, in any order, are in jobs, each once, and nothing else is. */
  async untilTaken(values: readonly string[]): Promise<void> {
    await eventually(() => this.values.length >= values.length, `${values.length} messages in jobs`);
    const sorted = [...values].sort();
    if (JSON.stringify(this.values.toSorted()) !== JSON.stringify(sorted))
      throw new Error(`In jobs are ${this.values.join(' ')} instead of ${sorted.join(' ')}`);
  }

  untilState(state: Stream['state']): Promise<Stream> {
    return eventually(async () => {
      const stream = await this.stream();
      return stream.state === state && stream;
    }, `the stream to be ${state}`);
  }

  untilWait(code: string | null): Promise<unknown> {
    return eventually(
      async () => ((await this.stream()).wait?.code ?? null) === code,
      `wait ${code ?? 'none'}`,
    );
  }

  /** Ranges of all jobs by partition, in their order, from their addresses. */
  async ranges(): Promise<Record<string, string[]>> {
    const rows = await this.base.database.query<{ secret_uri: string }[]>(
      'SELECT secret_uri FROM sluice.job WHERE stream = $1 ORDER BY id',
      [this.name],
    );
    const ranges: Record<string, string[]> = {};
    for (const { secret_uri } of rows)
      for (const part of secret_uri.split('?')[1]?.split('&') ?? []) {
        const [partition = '', range = ''] = part.split('=');
        (ranges[partition] ??= []).push(range);
      }
    return ranges;
  }

  /** Deletes what stands before these offsets. */
  async expire(lows: Readonly<Record<number, number>>): Promise<void> {
    const partitions = Object.entries(lows).map(([partition, low]) => ({
      partition: Number(partition),
      offset: String(low),
    }));
    await withAdmin(this.kafka, async (admin) => {
      // kafkajs looks for leaders only of topics that were asked for before.
      await admin.fetchTopicOffsets(this.topic);
      await admin.deleteTopicRecords({ topic: this.topic, partitions });
    });
  }

  /** As an operator who starts again, and brokers that need a moment. */
  async recreate(): Promise<void> {
    await withAdmin(this.kafka, (admin) => admin.deleteTopics({ topics: [this.topic] }));
    await this.makeTopic();
  }

  finish(
    id: string,
    { refused, code }: { refused: number; code?: string },
    records: number,
  ): Promise<unknown> {
    return this.base.database.query(
      `UPDATE sluice.job SET state = 'succeeded', finished_at = now(), counts = $2, findings = $3, owner = NULL,
         lease_until = NULL WHERE id = $1`,
      [
        id,
        { read: records, refused, loaded: records - refused },
        code === undefined ? {} : { [code]: refused },
      ],
    );
  }

  private async play({ id }: Claim, opened: MessageSource): Promise<void> {
    const messages: ReadMessage[] = [];
    for await (const some of opened.messages) messages.push(...some);
    const job = { id, messages };
    this.taken.push(job);
    const end = this.ends(job);
    // A test may end connections at any moment.
    if (end !== null)
      await eventually(
        () =>
          this.finish(id, end, messages.length).then(
            () => true,
            () => false,
          ),
        `job ${id} to end`,
      );
  }
}

const LEASE_SECONDS = 3;

/** The next offset of each partition. */
export function nexts(position: StreamPosition | null): Record<string, number> {
  return Object.fromEntries(Object.entries(position ?? {}).map(([partition, { next }]) => [partition, next]));
}
