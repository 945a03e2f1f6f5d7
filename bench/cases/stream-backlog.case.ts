import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, partitionsIn, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { topicOf } from '#core/message/topics.js';
import { checkoutFolder } from '#local/folders.js';
import { eventually } from '#test/support/eventually.js';
import { DATASET } from '../baselines/baseline-database.js';
import { type CleanedFile, writeCleaned } from '../baselines/cleaned-files.js';
import { writePublishedForm } from '../baselines/extract.js';
import type { Bench, BenchCase } from '../bench-case.js';
import { ensureConnectJars } from '../connect/connect-jars.js';
import { ConnectWorker } from '../connect/connect-worker.js';
import { sinkSettings } from '../connect/connector-settings.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import {
  BAD_EVERY,
  type WaitingMessage,
  inboxMessages,
  sendWaiting,
  sinkMessages,
} from '../streams/waiting-messages.js';
import type { BenchSystem } from '../system/bench-system.js';
import { type Contestant, measureInTurns } from './in-turns.js';
import { assertSame, sumQuery } from './same-rows.js';

const SEED = 1;
const ONE_TABLE_DATASET = 'registration-only';
const DATASETS = join('bench', 'datasets');
/** What `isoDate` of the extract is, which the header of a file would say. */
const HEADERS = { context: JSON.stringify({ date: '2026-09-01' }) };
const WARM_UP_ROWS = 50_000;
const CONNECT_TOPIC = 'bench.registrations';
const CONNECT_TABLE = 'connect_registration';
/** A bound for what hangs. */
const LONGEST_MS = 900_000;
/** A table that has not grown for so long will not: a worker can rest without an error, for one when it was sent fewer messages. */
const LONGEST_REST_MS = 120_000;

const ONE = 'sluice, one table';
const BOTH = 'sluice, both tables';
const CONNECT = 'connect';

const RATIOS: readonly RatioQuestion[] = [
  { name: 'a backlog into one table, to Kafka Connect into the same', of: ONE, to: CONNECT, target: 0.5 },
  { name: 'a backlog into both tables, to Kafka Connect into one', of: BOTH, to: CONNECT, target: 0.9 },
];

/** Messages that wait in an inbox, as after a night without a consumer. */
export const streamBacklog: BenchCase = {
  name: 'stream-backlog',
  about:
    'waiting one-record messages until all are visible, 0.2 % refused, beside Kafka Connect with the Debezium JDBC sink',
  defaultRows: 1_600_000,
  async run(bench) {
    bench.say('making files');
    const system = await bench.system();
    const main = await makeFiles(bench, 'main', bench.rows);
    const warmUp = await makeFiles(bench, 'warm-up', Math.min(WARM_UP_ROWS, bench.rows));
    await system.restart({ SLUICE_DATASET_PATHS: join(checkoutFolder(), 'dist', DATASETS) });
    const place = BacklogPlace.of(system);
    const worker = await startConnect(bench, system);
    try {
      await place.makeConnectTable();
      const sluices = [
        { label: ONE, dataset: ONE_TABLE_DATASET, tables: ['registration_only'] },
        { label: BOTH, dataset: DATASET, tables: ['tax_registration', 'business_industry'] },
      ].map((each) => new SluiceBacklog(place, each));
      const connects = worker === null ? [] : [new ConnectBacklog(place, worker)];
      const all = [...sluices, ...connects];
      for (const each of all) await each.measure(warmUp, false);
      const sums = new Map<string, string>();
      const contestant = (each: Backlog): Contestant => ({
        label: each.label,
        measure: async () => {
          const measured = await each.measure(main, true);
          const query = sumQuery([{ ...main.registrations, table: each.tables[0] ?? '' }]);
          assertSame(sums, each.label, (await system.database.query<{ sum: string }>(query)).rows);
          return measured;
        },
      });
      const runs = await measureInTurns(bench, all.map(contestant));
      return {
        ...{ name: 'stream-backlog', rows: bench.rows, runs },
        ratios: worker === null ? [] : ratiosOf(runs, RATIOS),
        notes: [
          `For Sluice one bad record more comes behind every ${BAD_EVERY}; each becomes a dead letter with its reason. Connect has none.`,
          'Sluice reads CSV lines and validates them; Connect reads clean JSON whose schema stands in its settings.',
          'Seconds run from the start of the stream, or of the connector in a running worker, until every row is visible; both have run before.',
          `The backlog became ${sluices.map(({ label, jobs }) => `${jobs} jobs (${label})`).join(', ')}.`,
          'Both merge by key. The main tables hold the same rows afterwards, compared by their sums.',
          ...(worker === null ? ['Kafka Connect could not be had.'] : []),
        ],
      };
    } finally {
      await worker?.stop();
    }
  },
};

async function startConnect(bench: Bench, system: BenchSystem): Promise<ConnectWorker | null> {
  try {
    return await ConnectWorker.start(await ensureConnectJars(), system.kafkaBrokers);
  } catch (error) {
    bench.say(`without Kafka Connect: ${messageOf(error)}`);
    return null;
  }
}

interface Files {
  readonly rows: number;
  readonly raw: string;
  /** Of the main table. */
  readonly registrations: CleanedFile;
  readonly industries: number;
}

async function makeFiles(bench: Bench, name: string, rows: number): Promise<Files> {
  // Cleaned files are named after their tables.
  const folder = join(bench.folder, name);
  await mkdir(folder);
  const raw = join(folder, 'published.csv');
  await writePublishedForm(raw, { rows, seed: SEED });
  const [registrations, industries] = await writeCleaned(raw, folder);
  if (registrations === undefined) throw new SluiceError('INTERNAL', 'There is no main table.');
  return { rows, raw, registrations, industries: industries?.rows ?? 0 };
}

/** A system, and what sends to it. */
class BacklogPlace {
  private constructor(
    readonly system: BenchSystem,
    readonly kafka: Kafka,
  ) {}

  static of(system: BenchSystem): BacklogPlace {
    const kafka = createKafka({
      ...{ brokers: system.kafkaBrokers, clientId: 'sluice-bench' },
      logger: pino({ level: 'silent' }),
    });
    return new BacklogPlace(system, kafka);
  }

  /** Of an inbox; the topics for Connect have as many. */
  async partitions(): Promise<number> {
    const topic = topicOf(DATASET, 'inbox');
    return withAdmin(this.kafka, async (admin) => (await partitionsIn(admin, [topic])).get(topic) ?? 0);
  }

  /** With a publisher of its own: one that has sent to a topic that is deleted since sends nothing more. */
  async send(
    to: Parameters<typeof sendWaiting>[1],
    messages: AsyncIterable<WaitingMessage>,
  ): ReturnType<typeof sendWaiting> {
    const publisher = new Publisher(this.kafka);
    try {
      return await sendWaiting(publisher, to, messages);
    } finally {
      await publisher.disconnect();
    }
  }

  /** The table of Connect: the statements that made Sluice's. */
  async makeConnectTable(): Promise<void> {
    const folder = join(checkoutFolder(), DATASETS, ONE_TABLE_DATASET, 'migrations');
    const sql = await readFile(join(folder, '001-tables.sql'), 'utf8');
    await this.system.database.query(sql.replaceAll('registration_only', CONNECT_TABLE));
  }

  async clear(): Promise<void> {
    const { database } = this.system;
    await database.query(
      `TRUNCATE public.business_industry, public.tax_registration, public.registration_only, public.${CONNECT_TABLE}`,
    );
  }

  /** Resolves when a table has all rows; looks at the last ones first, and counts when they are there. */
  async untilVisible(
    table: string,
    lastKeys: readonly string[],
    rows: number,
    check: () => Promise<void>,
  ): Promise<void> {
    const { database } = this.system;
    const last = `SELECT count(*)::int AS n FROM public.${table} WHERE ban = ANY($1)`;
    const all = `SELECT count(*)::int AS n FROM public.${table}`;
    let looks = 0;
    await eventually(
      async () => {
        if ((looks += 1) % 20 === 0) await check();
        const { rows: seen } = await database.query<{ n: number }>(last, [lastKeys]);
        if (seen[0]?.n !== lastKeys.length) return false;
        return (await database.query<{ n: number }>(all)).rows[0]?.n === rows;
      },
      `${rows} rows in ${table}`,
      LONGEST_MS,
    );
  }
}

/** One of those that have messages waiting. */
interface Backlog {
  readonly label: string;
  readonly tables: readonly string[];
  measure(files: Files, isMeasured: boolean): ReturnType<Contestant['measure']>;
}

class SluiceBacklog implements Backlog {
  readonly label: string;
  readonly tables: readonly string[];
  /** Of the latest measurement. */
  jobs = 0;
  private readonly dataset: string;

  constructor(
    private readonly place: BacklogPlace,
    { label, dataset, tables }: { label: string; dataset: string; tables: readonly string[] },
  ) {
    [this.label, this.dataset, this.tables] = [label, dataset, tables];
  }

  async measure(files: Files, isMeasured: boolean): ReturnType<Contestant['measure']> {
    const { place, dataset, tables } = this;
    const { system } = place;
    const { client } = system;
    const [table = ''] = tables;
    await place.clear();
    const to = { topic: topicOf(dataset, 'inbox'), partitions: await place.partitions(), headers: HEADERS };
    const messages = inboxMessages(files.raw, tables.length > 1, BAD_EVERY);
    const sent = await place.send(to, messages);
    const before = await this.counts();
    const beginsWith = isMeasured
      ? system.profiled.bind(system)
      : <T>(work: () => Promise<T>): Promise<T> => work();
    const { result, ...cost } = await system.measure(() =>
      beginsWith(async () => {
        const beganAt = performance.now();
        await client.startStream(dataset, {});
        await place.untilVisible(table, sent.lastKeys, files.rows, () => this.assertRuns());
        return (performance.now() - beganAt) / 1_000;
      }),
    );
    await client.drainStream(dataset);
    await eventually(
      async () => (await client.stream(dataset)).state === 'stopped',
      'the stream to be drained',
    );
    // The tracker indexes dead letters when it comes to it.
    const bad = sent.messages - files.rows;
    await eventually(
      async () => (await this.counts()).explained === before.explained + bad,
      `${bad} dead letters with their reasons`,
    );
    const { jobs } = await this.counts();
    this.jobs = jobs - before.jobs;
    return { ...cost, rows: files.rows, seconds: result };
  }

  /** Of all jobs of the dataset. */
  private async counts(): Promise<{ jobs: number; explained: number }> {
    const { rows } = await this.place.system.database.query<{ jobs: number; explained: number }>(
      `SELECT count(*)::int AS jobs,
         (SELECT count(*)::int FROM sluice.dead_letter l JOIN sluice.job j ON j.id = l.job
          WHERE j.dataset = $1 AND l.codes <> '{}') AS explained
       FROM sluice.job WHERE dataset = $1`,
      [this.dataset],
    );
    return rows[0] ?? { jobs: 0, explained: 0 };
  }

  private async assertRuns(): Promise<void> {
    const { state, detail } = await this.place.system.client.stream(this.dataset);
    if (state === 'running') return;
    throw new SluiceError('INTERNAL', `The stream is ${state}: ${detail?.message ?? ''}`);
  }
}

class ConnectBacklog implements Backlog {
  readonly label = CONNECT;
  readonly tables = [CONNECT_TABLE];
  private runs = 0;

  constructor(
    private readonly place: BacklogPlace,
    private readonly worker: ConnectWorker,
  ) {}

  async measure(files: Files): ReturnType<Contestant['measure']> {
    const { place, worker } = this;
    const { system, kafka } = place;
    await place.clear();
    const [topic, name] = [`${CONNECT_TOPIC}.${(this.runs += 1)}`, `sink-${this.runs}`];
    const partitions = await place.partitions();
    await createTopics(kafka, [{ topic, partitions, config: {} }], 1);
    const { path, columns } = files.registrations;
    const sent = await place.send({ topic, partitions, headers: {} }, sinkMessages(path, columns));
    if (sent.messages !== files.rows)
      throw new SluiceError('INTERNAL', `Of ${files.rows} rows, ${sent.messages} were sent for Connect.`);
    const target = {
      topic,
      table: `public.${CONNECT_TABLE}`,
      databaseUrl: system.databaseUrl,
      tasks: partitions,
    };
    const { result, ...cost } = await system.measure(async () => {
      const beganAt = performance.now();
      await worker.create(name, sinkSettings(target));
      const assertProgress = this.progressOf(name);
      await place.untilVisible(CONNECT_TABLE, sent.lastKeys, files.rows, assertProgress);
      return (performance.now() - beganAt) / 1_000;
    }, [worker.process]);
    await worker.remove(name);
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
    return { ...cost, rows: files.rows, seconds: result };
  }

  /** A check that throws when the connector has failed, or its table rests before it is complete. */
  private progressOf(name: string): () => Promise<void> {
    const { place, worker } = this;
    const { database } = place.system;
    const sizeQuery = `SELECT pg_relation_size('public.${CONNECT_TABLE}')::text AS bytes`;
    let [seen, grewAt] = ['', performance.now()];
    return async () => {
      await worker.assertRuns(name);
      const { bytes = '' } = (await database.query<{ bytes: string }>(sizeQuery)).rows[0] ?? {};
      if (bytes !== seen) [seen, grewAt] = [bytes, performance.now()];
      if (performance.now() - grewAt < LONGEST_REST_MS) return;
      const count = `SELECT count(*)::int AS n FROM public.${CONNECT_TABLE}`;
      const rows = (await database.query<{ n: number }>(count)).rows[0]?.n ?? 0;
      throw new SluiceError(
        'INTERNAL',
        `Connect rests with ${rows} rows in ${CONNECT_TABLE}: ${await worker.describe(name)}`,
      );
    };
  }
}
