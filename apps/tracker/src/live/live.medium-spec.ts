import { once } from 'node:events';
import { Agent, type IncomingMessage, type Server, get } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createParser } from 'eventsource-parser';
import { pino } from 'pino';
import type { JobDetail } from '#api/jobs.js';
import { createPool } from '#common/postgres/pool.js';
import { Job } from '#core/job/job.entity.js';
import { eventually } from '#test/support/eventually.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { foldsOver } from '../testing/folds.js';
import { type ReadApiApp, startReadApi } from '../testing/read-api-app.js';
import { JobStreams } from './job-streams.js';

const JOB = '01890000-0000-7000-8000-000000000001';

describe('GET /jobs/:id/events', () => {
  let server: TestDatabase;
  let api: ReadApiApp;
  let pool: ReturnType<typeof createPool>;
  let logged: string[];
  let clients: Client[];

  beforeAll(async () => {
    server = await startMigratedDatabase();
    pool = createPool({ url: server.url, applicationName: 'live test', maxConnections: 2 });
  });
  afterAll(async () => {
    await pool.end();
    await server.stop();
  });
  beforeEach(async () => {
    logged = [];
    clients = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => logged.push(line) });
    api = await startReadApi({
      databaseUrl: server.url,
      timing: { pollIntervalMs: 5, heartbeatIntervalMs: 20 },
      logger,
    });
    await api.database.query(
      'TRUNCATE sluice.job, sluice.job_stage, sluice.job_batch, sluice.dead_letter CASCADE',
    );
    await api.database.getRepository(Job).insert(RUNNING as object);
  });
  afterEach(async () => {
    for (const client of clients) client.leave();
    await api.stop();
  });

  const connect = async (): Promise<Client> => {
    const client = await Client.connect(`${api.url}/jobs/${JOB}/events`);
    clients.push(client);
    return client;
  };
  const ingested = (batch: number): Promise<unknown> =>
    foldsOver(pool).foldEvents([
      {
        type: 'batch',
        dataset: 'shops',
        job: JOB,
        batch,
        stage: 'ingest',
        records: 10,
        bytes: 100,
        accepted: 10,
        refused: 0,
        skipped: 0,
        warnings: 0,
        findings: {},
        at: new Date().toISOString(),
      },
    ]);
  const finish = (refused: number): Promise<unknown> =>
    api.database
      .getRepository(Job)
      .update(JOB, { state: 'succeeded', finishedAt: new Date(), counts: { refused } });
  const letterOf = (record: number): Promise<unknown> =>
    foldsOver(pool).indexDeadLetters([
      {
        dataset: 'shops',
        job: JOB,
        batch: 0,
        record,
        line: record + 2,
        byteStart: 0,
        byteEnd: 1,
        stage: 'validate',
        findings: [],
        sqlstate: null,
        attempt: 0,
        columns: [],
        bytes: Buffer.from('x'),
      },
    ]);

  it('sends the job as it is, then each change, and ends when every dead letter of the final job is known', async () => {
    const client = await connect();
    expect(await client.next()).toMatchObject({
      id: JOB,
      state: 'running',
      stages: [{ batches: 0 }, {}, {}, {}],
    });
    await ingested(0);
    expect(await client.next()).toMatchObject({ stages: [{ batches: 1, records: 10 }, {}, {}, {}] });
    await finish(1);
    expect(await client.next()).toMatchObject({
      state: 'succeeded',
      deadLetters: { known: 0, expected: 1, complete: false },
    });
    await letterOf(7);
    expect(await client.next()).toMatchObject({ deadLetters: { known: 1, expected: 1, complete: true } });
    expect(await client.next()).toBeUndefined();
  });

  it('answers with one event and ends when the job was over before', async () => {
    await finish(0);
    const client = await connect();
    expect(await client.next()).toMatchObject({ state: 'succeeded' });
    expect(await client.next()).toBeUndefined();
  });

  it('sends comments on a quiet stream', async () => {
    const client = await connect();
    await until(() => client.comments.filter((comment) => comment.includes('heartbeat')).length >= 2);
    expect(client.comments.join()).toContain('heartbeat');
  });

  it('queries the job once for all its watchers, and stops when the last one has left', async () => {
    const watcher = api.app.get(JobStreams);
    const [first, second] = [await connect(), await connect()];
    await first.next();
    await second.next();
    expect(watcher.watchedJobs).toBe(1);
    first.leave();
    await ingested(0);
    expect(await second.next()).toMatchObject({ stages: [{ batches: 1 }, {}, {}, {}] });
    expect(watcher.watchedJobs).toBe(1);
    second.leave();
    await until(() => watcher.watchedJobs === 0);
  });

  it('continues after an outage of the database', async () => {
    const client = await connect();
    await client.next();
    await api.database.query('ALTER TABLE sluice.job RENAME TO job_away');
    await until(() => logged.some((line) => line.includes('a watched job cannot be read')));
    await api.database.query('ALTER TABLE sluice.job_away RENAME TO job');
    await finish(0);
    expect(await client.next()).toMatchObject({ state: 'succeeded' });
  });

  it('ends at shutdown and lets the server close, whatever its clients keep open', async () => {
    const server = api.app.getHttpServer() as Server;
    server.keepAliveTimeout = 0; // For ever.
    const agent = new Agent({ keepAlive: true });
    const events: string[] = [];
    const ended = new Promise((resolve, reject) => {
      get(`${api.url}/jobs/${JOB}/events`, { agent }, (response) => {
        response.on('data', (chunk: Buffer) => events.push(chunk.toString())).on('end', resolve);
      }).on('error', reject);
    });
    await until(() => events.join().includes('"state":"running"'));
    await Promise.all([api.app.close(), ended]);
    agent.destroy();
  });
});

/** A client that watches a stream, on its own connection. */
class Client {
  readonly comments: string[] = [];
  private readonly arrived: JobDetail[] = [];
  private ended = false;

  private constructor(private readonly response: IncomingMessage) {
    const parser = createParser({
      onEvent: ({ data }) => this.arrived.push(JSON.parse(data) as JobDetail),
      onComment: (comment) => this.comments.push(comment),
    });
    response.setEncoding('utf8').on('data', (text: string) => {
      parser.feed(text);
    });
    response.on('close', () => {
      this.ended = true;
    });
  }

  static async connect(url: string): Promise<Client> {
    const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
    expect([response.statusCode, response.headers['content-type']]).toEqual([200, 'text/event-stream']);
    return new Client(response);
  }

  /** The next event, or undefined when the stream has ended. */
  async next(): Promise<JobDetail | undefined> {
    await until(() => this.arrived.length > 0 || this.ended);
    return this.arrived.shift();
  }

  leave(): void {
    this.response.destroy();
  }
}

function until(holds: () => boolean): Promise<true> {
  return eventually(holds, 'what the test waits for');
}

const RUNNING: Partial<Job> = {
  id: JOB,
  dataset: 'shops',
  mode: 'replace',
  state: 'running',
  source: { kind: 'http', display: 'https://example.org/shops.csv', own: { trustedCaller: false } },
  secretUri: 'https://example.org/shops.csv',
  dryRun: false,
  maxRefusedShare: 0.05,
  maxShrinkShare: 0.2,
  options: {},
  contractVersion: 1,
  epoch: 1,
  announced: true,
  createdAt: new Date('2026-01-01T00:00:00Z'),
  startedAt: new Date('2026-01-01T00:00:01Z'),
};
