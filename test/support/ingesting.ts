import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { OutgoingMessage } from '#common/kafka/message.js';
import type { Publisher } from '#common/kafka/transport/publisher.js';
import type { Tracing } from '#common/telemetry/tracing/traced-work.js';
import { Column, Table } from '#core/dataset/columns.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { Job } from '#core/job/job.entity.js';
import { JobRepository } from '#core/job/job.repository.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { IngestorConfig } from '../../apps/ingestor/src/ingestor.config.js';
import { IngestorMetrics } from '../../apps/ingestor/src/ingestor.metrics.js';
import { JobCommands } from '../../apps/ingestor/src/jobs/job-commands.js';
import { JobRunner } from '../../apps/ingestor/src/jobs/job-runner.js';
import type { MessageSource } from '../../apps/ingestor/src/sources/message-source.js';
import { SourceOpener } from '../../apps/ingestor/src/sources/source-opener.js';
import { startMigratedDatabase } from './postgres.js';
import { RunFolder } from './run-folder.js';
import { sourceSettings } from './source-settings.js';

/**
 * Ingestors on real PostgreSQL and real files, with brokers whose acknowledgements a test holds back: what is on its
 * way at a moment cannot be chosen with a real broker.
 */
@Table({ name: 'thing', key: ['number'] })
class Thing {
  @Column({ source: 'number' })
  number!: string | null;
}

/** Two records a batch, each `<number>\n`, behind a line `number <date>`. */
export const THINGS: Dataset = {
  name: 'things',
  title: 'Things',
  contractVersion: 1,
  format: 'csv',
  contract: Thing,
  writeModes: ['replace'],
  keepOfDuplicates: 'first',
  maxRefusedShare: 1,
  maxShrinkShare: 1,
  options: {},
  prologue: (head) => {
    const end = head.indexOf('\n');
    const [column = '', date = ''] = head.subarray(0, end).toString().split(' ');
    const wrong = { code: 'WRONG', field: null, message: 'is no head of things', severity: 'error' } as const;
    return {
      columns: ['number'],
      context: { date },
      dataStart: end + 1,
      firstLine: 2,
      findings: column === 'number' ? [] : [wrong],
    };
  },
};

/** The file of things with these numbers. */
export function thingsOf(numbers: readonly number[], date = 'today'): Buffer {
  return Buffer.from([`number ${date}`, ...numbers, ''].join('\n'));
}

export class HeldBroker {
  /** Numbers of the raw batches that were sent, in order, repeats too. */
  readonly sent: number[] = [];
  readonly values = new Map<number, string>();
  /** Partitions that batches were sent to. */
  readonly partitions = new Set<number | undefined>();
  /** The contexts of the batches, as JSON. */
  readonly contexts = new Set<string>();
  /** The lists of unreadable records of batches, by the batch, as JSON. */
  readonly unreadable = new Map<number, string>();
  /** Whether batches were sealed. */
  readonly seals = new Set<boolean>();
  /** Batches from here on are acknowledged by `acknowledge` only. */
  heldFrom = Infinity;
  private readonly waiting = new Set<{ acknowledge: () => void; lose: (error: Error) => void }>();

  send(messages: readonly OutgoingMessage[]): Promise<void> {
    const [message] = messages;
    if (!message || message.topic === 'sluice.status') return Promise.resolve();
    const batch = Number(message.key.split(':').at(-1));
    this.sent.push(batch);
    this.partitions.add(message.partition);
    this.values.set(batch, message.value.toString());
    this.unreadable.set(batch, String(message.headers.oversized));
    this.contexts.add(String(message.headers.context));
    this.seals.add('seal' in message.headers);
    if (batch < this.heldFrom) return Promise.resolve();
    return new Promise((acknowledge, lose) => this.waiting.add({ acknowledge, lose }));
  }

  /** Whatever waits, and all that comes. */
  acknowledge(): void {
    this.heldFrom = Infinity;
    for (const { acknowledge } of this.waiting) acknowledge();
    this.waiting.clear();
  }

  /** Whatever waits is never acknowledged. */
  lose(): void {
    for (const { lose } of this.waiting) lose(new SluiceError('BROKER_UNAVAILABLE', 'no answer'));
    this.waiting.clear();
  }
}

/** One ingestor: what a process of it has, without HTTP and polling. */
export interface TestIngestor {
  readonly broker: HeldBroker;
  readonly runner: JobRunner;
  readonly metrics: Registry;
  readonly commands: JobCommands;
  readonly drain: AbortController;
  /** Claims the next job and runs it, with its source where a test has opened it. @returns its end */
  run(opened?: MessageSource): Promise<void>;
}

export class Ingesting {
  readonly operator: OperatorRepository;

  private constructor(
    readonly database: DataSource,
    private readonly folder: RunFolder,
    private readonly stopDatabase: () => Promise<void>,
  ) {
    this.operator = new OperatorRepository(database);
  }

  static async start(): Promise<Ingesting> {
    const server = await startMigratedDatabase();
    const database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
    await database.query('CREATE TABLE public.thing (number text PRIMARY KEY)');
    return new Ingesting(database, new RunFolder('ingesting'), () => server.stop());
  }

  async stop(): Promise<void> {
    await this.database.destroy();
    await this.stopDatabase();
    await this.folder.remove();
  }

  file(name: string, content: Buffer): string {
    const path = join(this.folder.path, name);
    writeFileSync(path, content);
    return path;
  }

  /** Ends whatever job there is, and queues one. @returns its id */
  async queue(source: string): Promise<string> {
    await this.database.query('TRUNCATE sluice.job CASCADE');
    const id = uuidv7();
    await new JobRepository(this.database).create({
      id,
      dataset: THINGS.name,
      mode: 'replace',
      source: { kind: 'file', display: source, own: { trustedCaller: true } },
      secretUri: source,
      dryRun: false,
      limitRecords: null,
      maxRefusedShare: 1,
      maxShrinkShare: null,
      options: {},
      contractVersion: 1,
    });
    return id;
  }

  load(id: string): Promise<Job> {
    return new JobRepository(this.database).load(id);
  }

  /** @param dataset things that are written otherwise */
  ingestor(
    owner = 'one',
    leaseSeconds = 30,
    settings: Partial<IngestorConfig> = {},
    dataset: Dataset = THINGS,
    tracing: Tracing | null = null,
  ): TestIngestor {
    const jobs = new JobRepository(this.database, leaseSeconds);
    const registry = new DatasetRegistry([
      { name: THINGS.name, dataset, folder: '', schema: 'public', tables: ['thing'] },
    ]);
    const config = Object.assign(new IngestorConfig(), { maxBatchRecords: 2, leaseSeconds }, settings);
    const broker = new HeldBroker();
    const metrics = new Registry();
    const counters = new IngestorMetrics(metrics);
    const drain = new AbortController();
    const runner = new JobRunner(
      jobs,
      registry,
      new SourceOpener(sourceSettings({ retryFactorMs: 1 }), counters),
      broker as unknown as Publisher,
      config,
      counters,
      THREE_PARTITIONS,
      pino({ level: 'silent' }),
      tracing,
    );
    return {
      broker,
      runner,
      metrics,
      drain,
      commands: new JobCommands(this.operator, runner, this.database),
      run: async (opened) => {
        const claim = await jobs.claimNext(owner);
        if (!claim) throw new Error('There is no job to claim.');
        await runner.run(claim, drain.signal, opened);
      },
    };
  }
}

const THREE_PARTITIONS = {
  admin: () => ({
    connect: () => Promise.resolve(),
    disconnect: () => Promise.resolve(),
    fetchTopicMetadata: () =>
      Promise.resolve({ topics: [{ name: 'sluice.things.raw', partitions: [0, 1, 2] }] }),
  }),
} as unknown as Kafka;
