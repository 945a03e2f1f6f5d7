import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { migrate } from '#core/schema/migrate.js';
import { createStaging } from '#core/staging/staging-tables.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import { eventually } from '../../../../test/support/eventually.js';
import { type TestDatabase, startTestDatabase } from '../../../../test/support/postgres.js';
import { GroupLoader } from './group-loader.js';
import { stagingTargets } from './staging-targets.js';

const PLAN: TablePlan[] = [
  { table: 'thing', columns: ['code', 'amount'], key: ['code'], sources: {}, parent: null },
  {
    table: 'part',
    columns: ['thing_code', 'name'],
    key: [],
    sources: {},
    parent: { table: 'thing', columns: { thing_code: 'code' } },
  },
];

describe('GroupLoader on real PostgreSQL', () => {
  let server: TestDatabase;
  let pool: pg.Pool;
  let loader: GroupLoader;
  let job: string;

  beforeAll(async () => {
    server = await startTestDatabase();
    await migrate(server.url, []);
    pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 4 });
    loader = new GroupLoader(pool, pino({ level: 'silent' }));
    await pool.query(`
      CREATE TABLE public.thing (code text PRIMARY KEY, amount int NOT NULL CHECK (amount < 1000));
      CREATE TABLE public.part (thing_code text NOT NULL REFERENCES public.thing, name varchar(5) NOT NULL)`);
  });

  afterAll(async () => {
    await pool.end();
    await server.stop();
  });

  beforeEach(async () => {
    job = uuidv7();
    await pool.query('TRUNCATE sluice.job CASCADE');
    await pool.query(
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version)
       VALUES ($1, 'things', 'replace', 'running', '{}', '', false, 0.05, '{}', 1)`,
      [job],
    );
    await inTransaction(pool, (client) => createStaging(client, PLAN, { id: job, mode: 'replace' }));
  });

  /** A batch of two things, each with a part, unless told otherwise. */
  function batch(number: number, rows: { thing?: string; part?: string } = {}): CleanMessage {
    const first = number * 2;
    const thing = rows.thing ?? `${first}\tt${first}\t1\n${first + 1}\tt${first + 1}\t2\n`;
    const part = rows.part ?? `${first}\tt${first}\ta\n${first + 1}\tt${first + 1}\tb\n`;
    return {
      dataset: 'things',
      job,
      epoch: 1,
      batch: number,
      firstRecord: first,
      firstLine: first + 2,
      byteStart: number * 10,
      byteEnd: number * 10 + 10,
      crc32c: 1,
      raw: { topic: 'sluice.things.raw', partition: 0, offset: String(number) },
      counts: { records: 2, accepted: 2, refused: 0, skipped: 0, warnings: 0 },
      findings: {},
      sections: [
        { table: 'thing', text: Buffer.from(thing), rows: 2 },
        { table: 'part', text: Buffer.from(part), rows: 2 },
      ],
      attempt: 0,
    };
  }

  const load = (...batches: CleanMessage[]): ReturnType<GroupLoader['load']> =>
    loader.load({ dataset: 'things', job, batches }, stagingTargets(PLAN, job), () => undefined);

  async function staged(): Promise<{ things: string[]; parts: string[]; batches: number[] }> {
    const [things, parts] = stagingTargets(PLAN, job).map(
      ({ stagingName }) => `sluice_staging."${stagingName}"`,
    );
    const column = async (sql: string): Promise<string[]> =>
      (await pool.query<{ value: string }>(sql)).rows.map(({ value }) => value);
    return {
      things: await column(`SELECT code AS value FROM ${things ?? ''} ORDER BY _sluice_record`),
      parts: await column(`SELECT thing_code || name AS value FROM ${parts ?? ''} ORDER BY _sluice_record`),
      batches: (await column(`SELECT batch AS value FROM sluice.ledger WHERE job = '${job}' ORDER BY 1`)).map(
        Number,
      ),
    };
  }

  it('brings a batch and its ledger row together, once, however often it is delivered (LD1, G3)', async () => {
    expect(await load(batch(0), batch(1))).toMatchObject({ kind: 'loaded', repeated: [] });
    expect(await load(batch(1), batch(2))).toMatchObject({ fresh: [{ batch: 2 }], repeated: [{ batch: 1 }] });
    await Promise.all([load(batch(3)), load(batch(3))]);
    expect(await load(batch(4), batch(4), batch(3))).toMatchObject({
      fresh: [{ batch: 4 }],
      repeated: [{ batch: 4 }, { batch: 3 }],
    });
    expect(await staged()).toEqual({
      things: ['t0', 't1', 't2', 't3', 't4', 't5', 't6', 't7', 't8', 't9'],
      parts: ['t0a', 't1b', 't2a', 't3b', 't4a', 't5b', 't6a', 't7b', 't8a', 't9b'],
      batches: [0, 1, 2, 3, 4],
    });
  });

  it('leaves nothing of a group when its COPY breaks off', async () => {
    const broken = stagingTargets(PLAN, job).map((target) =>
      target.table === 'part' ? { ...target, copyStatement: 'COPY sluice_staging.gone FROM STDIN' } : target,
    );
    const loading = loader.load({ dataset: 'things', job, batches: [batch(0)] }, broken, () => undefined);
    await expect(loading).rejects.toMatchObject({ code: '42P01' });
    expect(await staged()).toEqual({ things: [], parts: [], batches: [] });
    expect(await load(batch(0))).toMatchObject({ kind: 'loaded', fresh: [{ batch: 0 }] });
  });

  it('refuses only the records that the database refuses, with SQLSTATE and reason, in every table (G10)', async () => {
    const bad = batch(1, {
      thing: '2\tt2\t1000\n3\tt3\t2\n',
      part: '2\tt2\ta\n3\tt3\ttoo long\n',
    });
    expect(await load(batch(0), bad, batch(2))).toMatchObject({ kind: 'loaded' });
    expect(await staged()).toEqual({
      things: ['t0', 't1', 't4', 't5'],
      parts: ['t0a', 't1b', 't4a', 't5b'],
      batches: [0, 1, 2],
    });
    const { rows } = await pool.query(
      'SELECT batch, load_refusals FROM sluice.ledger WHERE NOT refusals_announced AND job = $1',
      [job],
    );
    expect(rows).toMatchObject([
      {
        batch: '1',
        load_refusals: [
          { record: 2, sqlstate: '23514', findings: [{ code: 'REFUSED_BY_DATABASE', severity: 'error' }] },
          { record: 3, sqlstate: '22001' },
        ],
      },
    ]);
  });

  it('loads nothing for a job that is not running (G5)', async () => {
    for (const state of ['finalizing', 'failed', 'cancelled', 'succeeded']) {
      const finished = state === 'finalizing' ? null : new Date();
      await pool.query('UPDATE sluice.job SET state = $2, finished_at = $3 WHERE id = $1', [
        job,
        state,
        finished,
      ]);
      expect(await load(batch(0))).toEqual({ kind: 'dropped', state });
    }
    expect((await staged()).batches).toEqual([]);
    await pool.query('DELETE FROM sluice.job');
    expect(await load(batch(0))).toEqual({ kind: 'dropped', state: 'unknown' });
  });

  it('waits while the job is paused', async () => {
    await pool.query(`UPDATE sluice.job SET state = 'paused', pause_reason = 'operator' WHERE id = $1`, [
      job,
    ]);
    await expect(load(batch(0))).rejects.toMatchObject({ code: 'JOB_PAUSED', retryable: true });
  });

  it('holds the job row until COMMIT, so that ending the job waits for it (LD2)', async () => {
    const loading = await inTransaction(pool, async (blocker) => {
      // Between the look at the state and the ledger row, whose foreign key would lock the job row anyway.
      await blocker.query('LOCK TABLE sluice.ledger IN SHARE MODE');
      const waiting = load(batch(0));
      await eventually(
        async () => (await pool.query('SELECT FROM pg_locks WHERE NOT granted')).rows.length > 0,
        'the loader to meet the lock',
      );
      const ending = pool.query('SELECT FROM sluice.job WHERE id = $1 FOR UPDATE NOWAIT', [job]);
      await expect(ending).rejects.toMatchObject({ code: '55P03' });
      return { waiting };
    });
    expect(await loading.waiting).toMatchObject({ kind: 'loaded' });
  });
});
