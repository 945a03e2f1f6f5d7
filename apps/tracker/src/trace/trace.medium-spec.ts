import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { pino } from 'pino';
import type { TraceLine, TraceRequest, TraceView } from '#api/trace.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import { pruneStreamJobs } from '#core/job/prune-stream-jobs.js';
import { ChildTable, Children, Column, FromParent, Table } from '#core/dataset/columns.js';
import { defineDataset } from '#core/dataset/define-dataset.js';
import { int64 } from '#core/dataset/kinds.js';
import { encodeRawMessage } from '#core/message/raw-message.js';
import type { RegisteredDataset } from '#core/registry/registry.js';
import { eventually } from '#test/support/eventually.js';
import { fillFinishedJobs } from '#test/support/finished-stream-jobs.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { foldsOver } from '../testing/folds.js';
import { type ReadApiApp, startReadApi } from '../testing/read-api-app.js';
import { MAX_SIGHTINGS } from './sightings.js';
import { Tracer } from './tracer.js';

@ChildTable({ name: 'part' })
class Part {
  @FromParent('id') thing!: string;
  @Column({ source: 'part' }) part!: string;
}

@Table({ name: 'thing', key: ['id'] })
class Thing {
  @Column({ kind: int64(), required: true }) id!: string;
  @Column() name!: string;
  @Children(() => Part, { slots: [{ part: 'part' }] }) parts!: Part[];
}

const COLUMNS = ['id', 'name', 'part'];
const PARTITIONS = 3;

interface Draft {
  readonly job: string;
  readonly batch?: number;
  readonly epoch?: number;
  readonly text: string;
  readonly columns?: readonly string[];
}

/** TQ1 to TQ3 are the invariants of tracer.ts, TX1 to TX3 those of raw-search.ts. */
describe('POST /traces', () => {
  let server: TestDatabase;
  let broker: TestKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  let pool: pg.Pool;
  let api: ReadApiApp;
  let name: string;
  let topic: string;
  const logged: string[] = [];
  const names = Array.from({ length: 12 }, (_, at) => `things-${at}-${randomUUID().slice(0, 8)}`);

  beforeAll(async () => {
    [server, broker] = await Promise.all([startMigratedDatabase(), startTestKafka()]);
    pool = createPool({ url: server.url, applicationName: 'trace test', maxConnections: 3 });
    await pool.query('CREATE TABLE public.thing (id bigint PRIMARY KEY, name text)');
    await pool.query('CREATE TABLE public.part (thing bigint NOT NULL, part text)');
    kafka = createKafka({
      brokers: broker.brokers,
      clientId: 'trace-spec',
      logger: pino({ level: 'silent' }),
    });
    publisher = new Publisher(kafka);
    api = await startReadApi({
      databaseUrl: server.url,
      datasets: names.map(registered),
      kafka: { kafka, publisher },
      logger: pino({ level: 'trace' }, { write: (line: string) => logged.push(line) }),
    });
  });

  afterAll(async () => {
    await api.stop();
    await publisher.disconnect();
    await pool.end();
    await Promise.all([server.stop(), broker.stop()]);
  });

  beforeEach(async () => {
    name = names.pop() ?? '';
    topic = `sluice.${name}.raw`;
    const config = { 'max.message.bytes': '8388608' };
    await createTopics(kafka, [{ topic, partitions: PARTITIONS, config }], 1);
    await pool.query(
      'TRUNCATE sluice.job, sluice.stream, sluice.stream_hour, sluice.pruned_job, sluice.dead_letter, public.thing, public.part CASCADE',
    );
  });

  const post = (request: object, signal?: AbortSignal): Promise<Response> =>
    fetch(`${api.url}/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
      ...(signal === undefined ? {} : { signal }),
    });

  async function linesOf(request: Partial<TraceRequest>): Promise<TraceLine[]> {
    const response = await post({ dataset: name, key: ['7'], ...request });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    return (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as TraceLine);
  }

  async function trace(request: Partial<TraceRequest> = {}): Promise<TraceView> {
    const last = (await linesOf(request)).at(-1);
    if (last === undefined || !('trace' in last)) throw new Error(JSON.stringify(last));
    return last.trace;
  }

  /** A job that became visible, the later the higher its number. */
  async function job(number: number, facts: Record<string, unknown> = {}): Promise<string> {
    const id = `0189000${number % 10}-0000-7000-8000-${randomUUID().slice(24)}`;
    const row = {
      ...{
        id,
        dataset: name,
        mode: 'upsert',
        state: 'succeeded',
        source: { kind: 'file', display: '/f.csv' },
      },
      ...{ secret_uri: 'hunter2', dry_run: false, max_refused_share: 1, options: {}, contract_version: 3 },
      ...{ total_batches: 1, total_records: 1, resumable: false },
      ...{ created_at: new Date(number * 1_000), finished_at: new Date(number * 2_000) },
      ...facts,
    };
    const columns = Object.keys(row);
    await pool.query(
      `INSERT INTO sluice.job (${columns.join(', ')}) VALUES (${columns.map((_, at) => `$${at + 1}`).join(', ')})`,
      Object.values(row),
    );
    return id;
  }

  async function publish(...drafts: readonly Draft[]): Promise<void> {
    for (const { job: id, batch = 0, epoch = 1, text, columns = COLUMNS } of drafts) {
      const bytes = Buffer.from(text);
      const records = text.split('\n').length - 1;
      await publisher.send([
        encodeRawMessage(
          {
            ...{ dataset: name, job: id, epoch, format: 'csv', columns, context: {}, contractVersion: 1 },
            ...{ options: {}, attempt: 0 },
            batch: {
              ...{ batch, firstRecord: batch * 1_000, firstLine: batch * 1_000 + 1, records, lines: records },
              ...{ byteStart: 0, byteEnd: bytes.length, bytes, unreadable: [] },
            },
          },
          PARTITIONS,
        ),
      ]);
    }
  }

  it('searches all partitions once, whatever else stands there, and joins no group (TX1, TQ1)', async () => {
    const one = await job(1);
    await publish(
      ...[0, 1, 2, 3, 4].map((batch) => ({ job: one, batch, text: `8,x,\n${batch === 3 ? 7 : 9},y,\n` })),
    );
    await publish({ job: one, batch: 3, text: '8,x,\n7,y,\n' });
    await publisher.send([
      { topic, partition: 0, key: null, headers: {}, value: null },
      { topic, partition: 1, key: null, headers: { job: one }, value: Buffer.from('7,z,\n') },
    ]);
    await publish({ job: one, batch: 5, text: 'n\n', columns: ['name'] });
    const lines = await linesOf({});
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.slice(0, -1).every((line) => 'progress' in line)).toBe(true);
    const view = await trace();
    expect(view).toMatchObject({
      verdict: 'missing',
      records: [
        {
          job: one,
          record: 3_001,
          line: 3_002,
          fate: 'in-table',
          raw: { topic, partition: 0 },
          message: null,
        },
      ],
      jobs: [{ id: one, source: '/f.csv', contractVersion: 3 }],
      history: { isComplete: false, batches: 6, unreadable: 2, withoutKey: 1 },
    });
    const { groups } = await withAdmin(kafka, (admin) => admin.listGroups());
    expect(groups.filter(({ groupId }) => groupId.includes(name))).toEqual([]);
  });

  it('looks up the row and its child rows by what PostgreSQL takes for equal', async () => {
    await pool.query(
      `INSERT INTO thing VALUES (7, 'x'); INSERT INTO part VALUES (7, 'p'), (7, 'p'), (8, 'p')`,
    );
    const one = await job(1);
    await publish({ job: one, text: '007,x,p\n' });
    const view = await trace({ key: ['07'], row: { table: 'part', values: { part: 'p' } } });
    expect(view).toMatchObject({
      verdict: 'in-table',
      row: { table: 'public.thing', isThere: true, version: null, rows: 2, provenance: {} },
      records: [{ rows: 1 }],
    });
    // Not a bigint: no row can have it.
    const odd = await trace({ key: ['9'.repeat(30)] });
    expect(odd).toMatchObject({ verdict: 'not-found', row: { isThere: false } });
    expect(await trace({ key: ["7' OR 'a'='a"] })).toMatchObject({ row: { isThere: false } });
  });

  it('says that it may not read a table, and concludes from the jobs alone', async () => {
    const role = `reader_${randomUUID().replaceAll('-', '')}`;
    await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    await pool.query(`GRANT USAGE ON SCHEMA sluice TO ${role}`);
    await pool.query(`GRANT SELECT ON ALL TABLES IN SCHEMA sluice TO ${role}`);
    const url = new URL(server.url);
    [url.username, url.password] = [role, 'x'];
    const other = await startReadApi({
      databaseUrl: url.href,
      datasets: [registered(name)],
      kafka: { kafka, publisher },
    });
    try {
      const one = await job(1);
      await publish({ job: one, text: '7,x,\n' });
      const response = await fetch(`${other.url}/traces`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ dataset: name, key: ['7'] }),
      });
      const last = (await response.text()).trimEnd().split('\n').at(-1) ?? '';
      expect(JSON.parse(last)).toMatchObject({ trace: { verdict: 'in-table', row: { isThere: null } } });
    } finally {
      await other.stop();
      await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('leaves out what a job has thrown away, and messages of jobs that are not known', async () => {
    const again = await job(1, { first_epoch: 3 });
    await publish({ job: again, epoch: 2, text: '7,old,\n' });
    expect(await trace()).toMatchObject({ verdict: 'not-found', records: [] });
    await publish({ job: again, epoch: 3, text: '7,new,\n' });
    const gone = '01890009-0000-7000-8000-000000000001';
    await publish({ job: gone, text: '7,x,\n' });
    expect(await trace()).toMatchObject({
      records: [
        { job: again, fate: 'in-table' },
        { job: gone, fate: 'job-unknown' },
      ],
      history: { isComplete: false, unknownJobs: 1 },
    });
  });

  it('takes pruned jobs for what they were: visible, in the order in which they began', async () => {
    await fillFinishedJobs((text, values) => pool.query(text, values), {
      ...{ jobs: 40, from: new Date('2026-01-01T10:00:00Z'), refusedEvery: 10, dataset: name },
    });
    const { rows } = await pool.query<{ id: string }>('SELECT id FROM sluice.job ORDER BY id');
    const [first = '', second = ''] = rows.map(({ id }) => id);
    await pool.query('DELETE FROM sluice.ledger');
    await inTransaction(pool, (client) =>
      pruneStreamJobs(client, name, { keepHours: 1, keepJobs: 10, limit: 1_000 }),
    );
    await publish({ job: second, text: '7,new,\n' }, { job: first, text: '7,old,\n' });
    expect(await trace()).toMatchObject({
      verdict: 'missing',
      records: [
        { job: first, fate: 'superseded', supersededBy: { why: 'later-job', job: second } },
        { job: second, fate: 'in-table' },
      ],
      jobs: [
        { id: first, state: 'succeeded', mode: 'upsert' },
        { id: second, createdAt: '2026-01-01T10:00:01.000Z' },
      ],
      // Nothing says where batches stand, of 30 pruned jobs and of ten: all ended before the oldest message.
      history: { isComplete: false, unknownJobs: 0, deleted: { jobs: 40, batches: 40, records: 800 } },
    });
    const inTopic = JSON.stringify({ 0: [0, 1] });
    await pool.query('UPDATE sluice.stream_hour SET raw = $1', [inTopic]);
    await pool.query('DELETE FROM sluice.job');
    expect((await trace()).history).toMatchObject({ deleted: { jobs: 0 } });
    await pool.query('UPDATE sluice.stream_hour SET raw = $1', [JSON.stringify({ 9: [0, 1] })]);
    expect((await trace()).history).toMatchObject({ isComplete: false, deleted: { jobs: 30 } });
  });

  it('counts what retention has deleted, by the ledger and by jobs without one', async () => {
    const [one, two, pruned] = [
      await job(1),
      await job(2),
      await job(0, { total_batches: 4, total_records: 40 }),
    ];
    await publish({ job: one, batch: 0, text: '7,x,\n' }, { job: two, batch: 0, text: '7,y,\n' });
    await pool.query(
      `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c, accepted,
         refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset)
       SELECT job, 0, 0, 1, 11, 0, 5, 0, 1, 0, 0, 0, '{}', $1, 0, place
       FROM unnest($2::uuid[], $3::bigint[]) AS loaded (job, place)`,
      [topic, [one, two], [0, 1]],
    );
    // It had ended before the oldest message.
    expect((await trace()).history).toMatchObject({
      isComplete: false,
      deleted: { jobs: 1, batches: 4, records: 40 },
    });
    await pool.query('DELETE FROM sluice.job WHERE id = $1', [pruned]);
    expect((await trace()).history).toMatchObject({ isComplete: true, deleted: { jobs: 0, batches: 0 } });
    await withAdmin(kafka, async (admin) => {
      await admin.fetchTopicOffsets(topic); // so that its leaders are known
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '1' }] });
    });
    const view = await trace();
    expect(view.history).toMatchObject({ isComplete: false, deleted: { jobs: 1, batches: 1, records: 11 } });
    expect(view.records).toMatchObject([{ job: two, fate: 'in-table' }]);
  });

  it('keeps the records of the newest jobs when there are too many (TX2)', async () => {
    const one = await job(1);
    const two = await job(2);
    await publish({ job: two, text: '7,x,\n' });
    const batch = '7,x,\n'.repeat(600);
    for (let number = 0; number < 5; number += 1) await publish({ job: one, batch: number, text: batch });
    const view = await trace();
    expect(view.records).toHaveLength(MAX_SIGHTINGS);
    expect(view.history).toMatchObject({ leftOut: 3_001 - MAX_SIGHTINGS, isComplete: false });
    expect(view.records.at(-1)).toMatchObject({ job: two, fate: 'in-table' });
  });

  it('finds dead letters without their batches: messages, cut ones, and what is no record', async () => {
    const one = await job(1);
    const letter = {
      ...{
        dataset: name,
        job: one,
        batch: 0,
        byteStart: 0,
        byteEnd: 4,
        stage: 'validate' as const,
        attempt: 0,
      },
      ...{ columns: COLUMNS, sqlstate: null },
      findings: Array.from({ length: 5 }, () => ({
        code: 'BAD',
        field: null,
        message: 'is bad',
        severity: 'error' as const,
      })),
    };
    const message = {
      topic: 'i',
      partition: 1,
      offset: '5',
      timestamp: null,
      headers: [],
      key: { text: 'k' },
    };
    await foldsOver(pool).indexDeadLetters([
      { ...letter, record: 1, line: 2, bytes: Buffer.from('7,,p') },
      { ...letter, record: 2, line: 3, bytes: Buffer.from('8,,p') },
      { ...letter, record: 3, line: 4, bytes: Buffer.from('7,"'), byteEnd: 9_000 },
      { ...letter, record: 4, line: 5, bytes: Buffer.from('7,\n8,') },
      { ...letter, record: 5, line: 6, byteEnd: 4, bytes: Buffer.from('7,x,'), message },
    ]);
    const view = await trace();
    expect(view.verdict).toBe('refused');
    expect(view.records.map(({ record, is, message: place }) => [record, is, place?.offset])).toEqual([
      [1, 'record', undefined],
      [3, 'mention', undefined],
      [4, 'mention', undefined],
      [5, 'record', '5'],
    ]);
    expect(view.records[0]?.deadLetter?.findings).toHaveLength(3);
    expect(view.history.deadLettersWithoutKey).toBe(0);
    await foldsOver(pool).indexDeadLetters([
      { ...letter, record: 6, line: 7, columns: ['name'], bytes: Buffer.from('7') },
    ]);
    expect((await trace()).history).toMatchObject({ isComplete: false, deadLettersWithoutKey: 1 });
  });

  it('refuses what is no request, before the answer has begun', async () => {
    const refused = async (request: object): Promise<unknown> => {
      const response = await post({ dataset: name, key: ['7'], ...request });
      return [response.status, ((await response.json()) as { code: string }).code];
    };
    expect(await refused({ dataset: 'unknown' })).toEqual([404, 'DATASET_UNKNOWN']);
    expect(await refused({ key: [] })).toEqual([422, 'REQUEST_INVALID']);
    expect(await refused({ key: ['7', '8'] })).toEqual([422, 'REQUEST_INVALID']);
    expect(await refused({ key: [7] })).toEqual([422, 'REQUEST_INVALID']);
    expect(await refused({ key: ['NULL'] })).toEqual([422, 'REQUEST_INVALID']);
    expect(await refused({ key: ['x'.repeat(5_000)] })).toEqual([422, 'REQUEST_INVALID']);
    expect(await refused({ row: { table: 'none', values: { part: 'p' } } })).toEqual([
      422,
      'REQUEST_INVALID',
    ]);
    expect(await refused({ row: { table: 'part', values: { part: 5 } } })).toEqual([422, 'REQUEST_INVALID']);
    expect(await refused({ from: '2026-01-02', to: '2026-01-01' })).toEqual([422, 'REQUEST_INVALID']);
    expect(await refused({ from: 'yesterday' })).toEqual([422, 'REQUEST_INVALID']);
  });

  it('says in a line what ended it, and keeps the key out of the log', async () => {
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
    const response = await post({ dataset: name, key: ['7770777'] });
    expect([response.status, await response.text()]).toMatchObject([
      422,
      expect.stringContaining('TOPIC_MISSING'),
    ]);
    expect(logged.join('')).not.toContain('7770777');
  });

  it('makes two at a time, each as long as its client stays', async () => {
    const one = await job(1);
    await publish({ job: one, text: '8,x,\n' });
    const tracer = api.app.get(Tracer);
    const ready = tracer.ready({ dataset: name, key: ['7'] });
    const controllers = [new AbortController(), new AbortController()];
    const begun: (() => void)[] = [];
    const held = controllers.map(
      ({ signal }) =>
        new Promise<unknown>((resolve) => {
          const waits = (): Promise<void> =>
            new Promise((_, reject) => {
              begun.push(() => undefined);
              signal.addEventListener('abort', () => {
                reject(signal.reason as Error);
              });
            });
          tracer.trace(ready, waits, signal).then(resolve, resolve);
        }),
    );
    await eventually(() => begun.length === 2, 'both to be under way');
    const busy = await post({ dataset: name, key: ['7'] });
    expect([busy.status, await busy.json()]).toMatchObject([503, { code: 'TRACE_BUSY' }]);
    for (const controller of controllers) controller.abort();
    expect(await Promise.all(held)).toMatchObject([{ name: 'AbortError' }, { name: 'AbortError' }]);
    expect((await trace()).verdict).toBe('not-found');
  });
});

function registered(name: string): RegisteredDataset {
  const dataset = { ...defineDataset({ title: 'Things', contract: Thing }), name };
  return {
    name,
    dataset: dataset,
    folder: import.meta.dirname,
    schema: 'public',
    tables: ['thing', 'part'],
  };
}
