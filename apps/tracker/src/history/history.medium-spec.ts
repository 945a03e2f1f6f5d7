import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import { pruneStreamJobs } from '#core/job/prune-stream-jobs.js';
import { encodeDeadLetter } from '#core/message/dead-letter-message.js';
import { HISTORY_TOPIC, topicOf } from '#core/message/topics.js';
import { fillFinishedJobs } from '#test/support/finished-stream-jobs.js';
import { type OwnKafka, startKafkaBroker } from '#test/support/kafka.js';
import { type TestDatabase, startMigratedDatabase, startTestDatabase } from '#test/support/postgres.js';
import { foldsOver } from '../testing/folds.js';
import { HistoryPublisher } from './history-publisher.js';
import { HistoryRestorer, type Restored } from './restore-history.js';

const DATASET = 'shops';

/** HP1, HP2 and RH1 to RH5 are the invariants of history-publisher.ts and restore-history.ts. */
describe('the history of a database, on a broker of its own', () => {
  let broker: OwnKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  /** Keeps the server running between the databases. */
  let kept: TestDatabase;
  let server: TestDatabase;
  let pool: pg.Pool;
  let isOpen = false;
  let history: HistoryPublisher;

  beforeAll(async () => {
    [broker, kept] = await Promise.all([startKafkaBroker(), startTestDatabase()]);
    kafka = createKafka({ brokers: broker.brokers, clientId: 'history', logger: pino({ level: 'silent' }) });
    publisher = new Publisher(kafka);
  });

  afterAll(async () => {
    await publisher.disconnect();
    await pool.end();
    await Promise.all([server.stop(), kept.stop(), broker.stop()]);
  });

  /** An empty database, as after a loss. */
  async function emptyDatabase(): Promise<void> {
    if (isOpen) {
      await pool.end();
      await server.stop();
    }
    isOpen = true;
    server = await startMigratedDatabase();
    pool = createPool({ url: server.url, applicationName: 'history test', maxConnections: 4 });
    history = new HistoryPublisher(pool, publisher, pino({ level: 'silent' }));
  }

  beforeEach(async () => {
    const topics = [HISTORY_TOPIC, topicOf(DATASET, 'dead')];
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics })).catch(() => undefined);
    await createTopics(
      kafka,
      topics.map((topic) => ({ topic, partitions: 1, config: { 'max.message.bytes': '8388608' } })),
      1,
    );
    await emptyDatabase();
  });

  async function publishAll(): Promise<number> {
    let published = 0;
    for (let step = 1; step > 0; published += step) step = await history.step();
    return published;
  }

  async function restore(): Promise<Restored> {
    const client = await pool.connect();
    try {
      const restorer = new HistoryRestorer(kafka, client);
      const rows = await restorer.restoreRows();
      const decisions = (await restorer.lacksDecisions())
        ? await restorer.restoreDecisions(foldsOver(pool), [topicOf(DATASET, 'dead')])
        : 0;
      return { ...rows, decisions };
    } finally {
      client.release();
    }
  }

  async function job(facts: Record<string, unknown> = {}): Promise<string> {
    const row = {
      ...{ id: randomUUID(), dataset: DATASET, mode: 'replace', state: 'running', source: { kind: 'file' } },
      ...{
        secret_uri: 'https://user:hunter2@x',
        dry_run: false,
        max_refused_share: 1,
        options: {},
        contract_version: 1,
      },
      ...facts,
    };
    const names = Object.keys(row);
    await pool.query(
      `INSERT INTO sluice.job (${names.join(', ')}) VALUES (${names.map((_, at) => `$${at + 1}`).join(', ')})`,
      Object.values(row),
    );
    return row.id;
  }

  const end = (id: string, state: string): Promise<unknown> =>
    pool.query(
      `UPDATE sluice.job SET state = $2, finished_at = now(), counts = '{"read": 5}', announced = false WHERE id = $1`,
      [id, state],
    );

  const jobs = async (): Promise<unknown[]> =>
    (
      await pool.query<object>(
        `SELECT to_jsonb(job) - 'secret_uri' - 'announced' - 'resumable' AS row FROM sluice.job AS job ORDER BY id`,
      )
    ).rows;

  /** Dead letters 0, 1 and so on of a job, in their topic and in the database. */
  async function indexed(id: string, count: number): Promise<void> {
    const letter = {
      ...{
        dataset: DATASET,
        job: id,
        batch: 0,
        line: 1,
        byteStart: 0,
        byteEnd: 1,
        sqlstate: null,
        attempt: 0,
      },
      ...{ stage: 'validate' as const, columns: ['a'], bytes: Buffer.from('x') },
      findings: [{ code: 'BAD', field: 'a', message: 'is bad', severity: 'error' as const }],
    };
    const letters = Array.from({ length: count }, (_, record) => ({ ...letter, record }));
    await publisher.send(letters.map((each) => encodeDeadLetter(each)));
    await foldsOver(pool).indexDeadLetters(letters);
  }

  const states = async (): Promise<string[]> =>
    (await pool.query<{ state: string }>('SELECT state FROM sluice.dead_letter ORDER BY record')).rows.map(
      ({ state }) => state,
    );

  const outbox = async (): Promise<{ key: string; value: Record<string, unknown> }[]> =>
    (
      await pool.query<{ key: string; value: Record<string, unknown> }>(
        'SELECT key, value FROM sluice.history_outbox ORDER BY id',
      )
    ).rows;

  it('notes jobs when they have ended and whenever that changes, without credentials and leases', async () => {
    const id = await job({ owner: 'one' });
    await pool.query(`UPDATE sluice.job SET checkpoint = '{}' WHERE id = $1`, [id]);
    expect(await outbox()).toEqual([]);
    await end(id, 'failed');
    await pool.query(`UPDATE sluice.job SET announced = true, owner = 'two' WHERE id = $1`, [id]);
    await pool.query(`UPDATE sluice.job SET findings = '{"BAD": 1}' WHERE id = $1`, [id]);
    const noted = await outbox();
    expect(noted.map(({ key }) => key)).toEqual([`job:${id}`, `job:${id}`]);
    expect(noted[1]?.value).toMatchObject({ id, state: 'failed', counts: { read: 5 }, findings: { BAD: 1 } });
    expect(JSON.stringify(noted)).not.toMatch(/hunter2|owner|lease/);
  });

  it('brings jobs and audit back into an empty database, the last state of each (RH1, HP1)', async () => {
    const one = await job();
    await end(one, 'failed');
    await publishAll();
    await end(one, 'succeeded');
    await job({ state: 'running' });
    const two = await job();
    await end(two, 'cancelled');
    await pool.query(
      `INSERT INTO sluice.repair_action (id, action, selection, reason, by_whom) VALUES ($1, 'discard', '{}', 'old', 'me')`,
      [randomUUID()],
    );
    await pool.query('UPDATE sluice.repair_action SET finished_at = now(), dead_letters = 7');
    await publishAll();
    expect(await outbox()).toEqual([]);
    await pool.query(`DELETE FROM sluice.job WHERE state = 'running'`);
    const before = [await jobs(), (await pool.query('SELECT * FROM sluice.repair_action')).rows];
    expect(await restore()).toEqual({ jobs: 0, actions: 0, decisions: 0, unreadable: 0 });
    await emptyDatabase();
    expect(await restore()).toEqual({ jobs: 2, actions: 1, decisions: 0, unreadable: 0 });
    expect([await jobs(), (await pool.query('SELECT * FROM sluice.repair_action')).rows]).toEqual(before);
    expect((await pool.query('SELECT DISTINCT secret_uri, resumable FROM sluice.job')).rows).toEqual([
      { secret_uri: '', resumable: false },
    ]);
    // What it has inserted is noted again, and restoring it again changes nothing.
    await publishAll();
    expect(await restore()).toMatchObject({ jobs: 0, actions: 0 });
  });

  it('brings dead letters back as they were decided about, with counts (RH3)', async () => {
    const id = await job();
    await end(id, 'succeeded');
    await indexed(id, 1_500);
    await pool.query(
      `UPDATE sluice.dead_letter SET state = 'resubmitted', successor_job = $1, successor_record = record WHERE record < 1200`,
      [id],
    );
    await pool.query(
      `UPDATE sluice.dead_letter SET state = 'landed', successor_job = $1, successor_record = record WHERE record < 1100`,
      [id],
    );
    await pool.query(
      `UPDATE sluice.dead_letter SET state = 'open', successor_job = NULL, successor_record = NULL
       WHERE record BETWEEN 1100 AND 1150`,
    );
    await pool.query(`UPDATE sluice.dead_letter SET state = 'discarded', reason = 'old' WHERE record = 1400`);
    const all = async (): Promise<unknown[]> =>
      (
        await pool.query<object>(
          'SELECT record, state, reason, successor_job, successor_record FROM sluice.dead_letter ORDER BY record',
        )
      ).rows;
    const before = await all();
    await publishAll();
    await emptyDatabase();
    expect(await restore()).toMatchObject({ jobs: 1, decisions: 1_150 });
    expect(await all()).toEqual(before);
    const counts = 'open::int, resubmitted::int, landed::int, discarded::int';
    expect((await pool.query(`SELECT ${counts} FROM sluice.dead_letter_group`)).rows).toEqual([
      { open: 350, resubmitted: 49, landed: 1_100, discarded: 1 },
    ]);
    expect((await pool.query('SELECT landed::int, discarded::int FROM sluice.job_stage')).rows).toEqual([
      { landed: 1_100, discarded: 1 },
    ]);
  });

  it('leaves pruned jobs of a stream in their hours, and brings them back where the hours are lost too (RH4)', async () => {
    const sql = (text: string, values?: unknown[]): Promise<unknown> => pool.query(text, values);
    await fillFinishedJobs(sql, { jobs: 40, from: new Date('2026-01-01T10:59:40Z'), refusedEvery: 10 });
    await publishAll();
    const prune = (): Promise<number> =>
      inTransaction(pool, (client) =>
        pruneStreamJobs(client, 'things', { keepHours: 1, keepJobs: 10, limit: 1_000 }),
      );
    const hours = async (): Promise<unknown[]> =>
      (await pool.query<object>('SELECT hour, jobs, counts FROM sluice.stream_hour ORDER BY hour')).rows;
    expect(await prune()).toBe(30);
    const before = await hours();
    expect(await restore()).toMatchObject({ jobs: 0 });
    expect(await prune()).toBe(0);
    expect(await hours()).toEqual(before);
    await emptyDatabase();
    expect(await restore()).toMatchObject({ jobs: 40 });
  });

  it('says so when jobs are missing that its role may not insert, and changes nothing', async () => {
    await end(await job(), 'succeeded');
    await publishAll();
    await emptyDatabase();
    const client = await pool.connect();
    const role = `tracker_${randomUUID().replaceAll('-', '')}`;
    try {
      await client.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA sluice TO ${role};
        GRANT SELECT ON ALL TABLES IN SCHEMA sluice TO ${role}; SET ROLE ${role}`);
      await expect(new HistoryRestorer(kafka, client).restoreRows()).rejects.toMatchObject({
        code: 'DATABASE_REFUSED',
        message: expect.stringContaining('rows of sluice.job'),
      });
    } finally {
      await client.query('RESET ROLE');
      await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      client.release(true);
    }
    expect(await jobs()).toEqual([]);
  });

  it('opens what was resubmitted to a job that is lost, and leaves what waits for one that is there (RH3)', async () => {
    const [id, known] = [await job(), await job()];
    for (const each of [id, known]) await end(each, 'succeeded');
    await indexed(id, 3);
    await pool.query(
      `UPDATE sluice.dead_letter SET state = 'resubmitted', successor_record = 0,
         successor_job = CASE record WHEN 1 THEN $1::uuid ELSE $2::uuid END WHERE record > 0`,
      [known, await job()],
    );
    await publishAll();
    await emptyDatabase();
    expect(await restore()).toMatchObject({ jobs: 2, decisions: 1 });
    expect(await states()).toEqual(['open', 'resubmitted', 'open']);
    expect(await restore()).toMatchObject({ decisions: 0 });
  });

  it.each([true, false])(
    'applies nothing to a dead letter of a job that has begun again (published: %s; RH5)',
    async (isPublished) => {
      const id = await job();
      await end(id, 'failed');
      await indexed(id, 2);
      await pool.query(`UPDATE sluice.dead_letter SET state = 'discarded', reason = 'old' WHERE record = 1`);
      await publishAll();
      await pool.query('DELETE FROM sluice.dead_letter');
      expect((await outbox()).map(({ value }) => value['letters'])).toEqual([
        [{ job: id, record: 1, state: 'open', reason: null, successorJob: null, successorRecord: null }],
      ]);
      if (isPublished) await publishAll();
      await indexed(id, 2);
      expect(await restore()).toMatchObject({ decisions: 0 });
      expect(await states()).toEqual(['open', 'open']);
    },
  );

  it('takes columns that it does not know, or does not find, for what they are (RH2), and passes what is none', async () => {
    const id = randomUUID();
    const value = {
      ...{
        id,
        dataset: DATASET,
        mode: 'append',
        state: 'succeeded',
        source: { kind: 'file' },
        dry_run: false,
      },
      ...{
        max_refused_share: 1,
        options: {},
        contract_version: 1,
        finished_at: '2026-01-01T00:00:00Z',
        of_tomorrow: 5,
      },
    };
    const send = (key: string, text: string): Promise<void> =>
      publisher.send([
        { topic: HISTORY_TOPIC, partition: 0, key, headers: { v: '1' }, value: Buffer.from(text) },
      ]);
    await send(`job:${id}`, JSON.stringify(value));
    await send(`job:${randomUUID()}`, JSON.stringify(value));
    await send('job:x', '{}');
    await send(`letters:${randomUUID()}`, '{"letters": [{"job": 5}]}');
    await send(`action:${randomUUID()}`, 'no JSON');
    expect(await restore()).toEqual({ jobs: 1, actions: 0, decisions: 0, unreadable: 4 });
    expect((await pool.query('SELECT id, strict, epoch FROM sluice.job')).rows).toEqual([
      { id, strict: false, epoch: 0 },
    ]);
  });
});
