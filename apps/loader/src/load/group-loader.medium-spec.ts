import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { migrate } from '#core/schema/migrate.js';
import { createStaging } from '#core/staging/staging-tables.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import { eventually } from '../../../../test/support/eventually.js';
import { type TestDatabase, startTestDatabase } from '../../../../test/support/postgres.js';
import { GroupLoader } from './group-loader.js';
import { loaderPlan, stagingTargets } from './staging-targets.js';

const PLAN: TablePlan[] = [
  {
    table: 'thing',
    columns: ['code', 'amount'],
    key: ['code'],
    version: null,
    sources: {},
    parent: null,
  },
  {
    table: 'part',
    columns: ['thing_code', 'name'],
    key: [],
    version: null,
    sources: {},
    parent: { table: 'thing', columns: { thing_code: 'code' } },
  },
];

describe('GroupLoader on real PostgreSQL', () => {
  let server: TestDatabase;
  let pool: pg.Pool;
  let loader: GroupLoader;
  let job: string;
  /** The staging tables that were COPYed into, COPY by COPY. */
  const copies: string[] = [];
  /** How often somebody has looked who is in the way, and had an answer. */
  let looks = 0;

  beforeAll(async () => {
    server = await startTestDatabase();
    await migrate(server.url, []);
    pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 4 });
    pool.on('connect', (client) => {
      countCopies(client, (table) => copies.push(table));
    });
    const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    pool.query = (async (...args: unknown[]) => {
      const answer = await query(...args);
      if (typeof args[0] === 'string' && args[0].includes('pg_blocking_pids')) looks += 1;
      return answer;
    }) as typeof pool.query;
    loader = new GroupLoader({
      pool,
      logger: pino({ level: 'silent' }),
      sessionTimeoutMs: 1_000,
      retryPauseMs: 1,
    });
    await pool.query(`
      CREATE SEQUENCE public.tries;
      CREATE FUNCTION public.passes(code text) RETURNS boolean LANGUAGE sql
        AS $$ SELECT code <> 'every other time' OR nextval('public.tries') % 2 = 0 $$;
      CREATE TABLE public.thing (
        code text PRIMARY KEY CHECK (public.passes(code)),
        amount int NOT NULL CHECK (amount < 1000)
      );
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
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version, epoch)
       VALUES ($1, 'things', 'replace', 'running', '{}', '', false, 0.05, '{}', 1, 1)`,
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
        { table: 'thing', text: Buffer.from(thing), rows: linesOf(thing) },
        { table: 'part', text: Buffer.from(part), rows: linesOf(part) },
      ],
      attempt: 0,
      fault: null,
      contractVersion: 1,
      plan: loaderPlan(PLAN, 1, job).mark,
      sealed: false,
    };
  }

  const load = (...batches: CleanMessage[]): ReturnType<GroupLoader['load']> =>
    loader.load({ dataset: 'things', job, batches }, loaderPlan(PLAN, 1, job), () => undefined);

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

  it('leaves nothing of a group when its COPY breaks off, and pauses a job whose tables do not fit (LD4)', async () => {
    const broken = stagingTargets(PLAN, job).map((target) =>
      target.table === 'part' ? { ...target, copyStatement: 'COPY sluice_staging.gone FROM STDIN' } : target,
    );
    const plan = { ...loaderPlan(PLAN, 1, job), targets: broken };
    const loading = loader.load({ dataset: 'things', job, batches: [batch(0)] }, plan, () => undefined);
    await expect(loading).rejects.toMatchObject({ code: 'JOB_PAUSED', retryable: true });
    expect(await staged()).toEqual({ things: [], parts: [], batches: [] });
    expect(await paused()).toMatchObject({
      state: 'paused',
      pause_reason: 'schema',
      pause_detail: { code: 'JOB_SCHEMA', message: expect.stringContaining('42P01') },
    });
    await continued();
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

  it('keeps the rows that each batch has really brought, by table (RC5, G1)', async () => {
    const bad = batch(1, { thing: '2\tt2\t1000\n3\tt3\t2\n', part: '2\tt2\ta\n2\tt2\tb\n3\tt3\tc\n' });
    await load(batch(0), bad, batch(2, { part: '' }));
    const { rows } = await pool.query('SELECT batch, table_rows FROM sluice.ledger ORDER BY batch');
    expect(rows).toEqual([
      { batch: '0', table_rows: { thing: 2, part: 2 } },
      { batch: '1', table_rows: { thing: 1, part: 1 } },
      { batch: '2', table_rows: { thing: 2, part: 0 } },
    ]);
  });

  it.each<[string, (message: CleanMessage) => CleanMessage]>([
    ['fewer rows than it says', (message) => withSection(message, 'part', { rows: 3 })],
    ['more rows than it says', (message) => withSection(message, 'thing', { rows: 1 })],
    [
      'rows of a table that the dataset does not write',
      (message) => withSection(message, 'part', { table: 'parts' }),
    ],
  ])('takes no batch that brings %s (RC5, S4)', async (_, changed) => {
    await expect(load(batch(0), changed(batch(1)))).rejects.toMatchObject({ code: 'JOB_PAUSED' });
    expect(await paused()).toMatchObject({
      pause_reason: 'fault',
      pause_detail: { code: 'BATCH_MISCOUNTED' },
    });
    expect(await staged()).toEqual({ things: [], parts: [], batches: [] });
  });

  it('does not lose the refusal of a record that its batch does not hold (RC5)', async () => {
    const foreign = batch(0, { thing: '0\tt0\t1\n7\tt7\t1000\n', part: '' });
    await expect(load(foreign)).rejects.toMatchObject({ code: 'JOB_PAUSED' });
    expect(await paused()).toMatchObject({ pause_detail: { code: 'BATCH_MISCOUNTED' } });
  });

  it('pauses a job for an error that is not known, with PostgreSQL’s words, and goes on when continued (LD8, C8)', async () => {
    await withTrigger(job, `RAISE EXCEPTION 'the moon is full' USING ERRCODE = 'XX001'`);
    await expect(load(batch(0))).rejects.toMatchObject({ code: 'JOB_PAUSED', retryable: true });
    expect(await paused()).toMatchObject({
      pause_reason: 'fault',
      pause_detail: {
        code: 'JOB_FAULT',
        message: 'Loading failed 4 times: the moon is full (SQLSTATE XX001).',
      },
    });
    await pool.query('DROP FUNCTION public.spoil CASCADE');
    await continued();
    expect(await load(batch(0))).toMatchObject({ kind: 'loaded' });
  });

  it('drops what a failed job still brings and cannot load: others stand behind it (LD8)', async () => {
    await withTrigger(job, `RAISE EXCEPTION 'no' USING ERRCODE = 'XX001'`);
    await pool.query(`UPDATE sluice.job SET state = 'failed', finished_at = now() WHERE id = $1`, [job]);
    expect(await load(batch(0))).toEqual({ kind: 'dropped', state: 'failed' });
    await pool.query('DROP FUNCTION public.spoil CASCADE');
  });

  it('leaves the state of the database to be waited for, and pauses nothing', async () => {
    await withTrigger(job, `RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'`);
    await expect(load(batch(0))).rejects.toMatchObject({ code: '53100' });
    expect(await paused()).toMatchObject({ state: 'running' });
    await pool.query('DROP FUNCTION public.spoil CASCADE');
  });

  async function withTrigger(id: string, body: string): Promise<void> {
    const staging = `sluice_staging."${stagingTargets(PLAN, id)[0]?.stagingName ?? ''}"`;
    await pool.query(`
      CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; END $$;
      CREATE TRIGGER spoil BEFORE INSERT ON ${staging} FOR EACH ROW EXECUTE FUNCTION public.spoil()`);
  }

  async function paused(): Promise<unknown> {
    return (await pool.query('SELECT state, pause_reason, pause_detail FROM sluice.job')).rows[0];
  }

  async function continued(): Promise<void> {
    await pool.query(`UPDATE sluice.job SET state = 'running', pause_reason = NULL, pause_detail = NULL`);
  }

  /** Parents and children of one batch of `records` records, the given ones refused by a CHECK or a length. */
  function wideBatch(records: number, bad: { things?: number[]; parts?: number[] }): CleanMessage {
    const all = Array.from({ length: records }, (_, record) => record);
    const thing = all.map((r) => `${r}\tt${r}\t${bad.things?.includes(r) === true ? 1000 : 1}\n`).join('');
    const part = all
      .map((r) => `${r}\tt${r}\t${bad.parts?.includes(r) === true ? 'too long' : 'a'}\n`)
      .join('');
    return {
      ...batch(0, { thing, part }),
      counts: { records, accepted: records, refused: 0, skipped: 0, warnings: 0 },
    };
  }

  const copiesOf = (table: string): number => copies.filter((name) => name.endsWith(`_${table}`)).length;

  it.each([
    ['no bad record', {}, { thing: 1, part: 1 }],
    ['a bad record in the first table', { things: [41] }, { thing: 3, part: 1 }],
    ['a bad record in the second table', { parts: [41] }, { thing: 3, part: 3 }],
  ])('needs at most three COPYs a table for %s (RC2)', async (_, bad, wanted) => {
    copies.length = 0;
    expect(await load(wideBatch(100, bad))).toMatchObject({ kind: 'loaded' });
    expect({ thing: copiesOf('thing'), part: copiesOf('part') }).toEqual(wanted);
    expect((await staged()).things).toHaveLength(Object.keys(bad).length === 0 ? 100 : 99);
  });

  it('finds many bad records with three COPYs each, wherever they are (RC3, RC4)', async () => {
    const bad = { things: [0, 1, 17, 50, 99], parts: [2, 17, 48, 98] };
    copies.length = 0;
    await load(wideBatch(100, bad));
    const refused = [...new Set([...bad.things, ...bad.parts])].sort((a, b) => a - b);
    const { rows } = await pool.query<{ record: number }>(
      `SELECT (refusal->>'record')::int AS record FROM sluice.ledger, jsonb_array_elements(load_refusals) AS refusal`,
    );
    expect(rows.map(({ record }) => record)).toEqual(refused);
    const left = Array.from({ length: 100 }, (_, r) => r).filter((r) => !refused.includes(r));
    const { things, parts } = await staged();
    expect(things).toEqual(left.map((r) => `t${r}`));
    expect(parts).toEqual(left.map((r) => `t${r}a`));
    expect(copiesOf('thing')).toBeLessThanOrEqual(3 * refused.length + 1);
  });

  it('finds the records without any word of the server (C14, D15)', async () => {
    const bad = { things: [0, 41, 42], parts: [99] };
    const unnamed = stagingTargets(PLAN, job).map((target) => ({ ...target, stagingName: 'not_named' }));
    await loader.load(
      { dataset: 'things', job, batches: [wideBatch(100, bad)] },
      { ...loaderPlan(PLAN, 1, job), targets: unnamed },
      () => undefined,
    );
    const { rows } = await pool.query<{ record: number }>(
      `SELECT (refusal->>'record')::int AS record FROM sluice.ledger, jsonb_array_elements(load_refusals) AS refusal`,
    );
    expect(rows.map(({ record }) => record)).toEqual([0, 41, 42, 99]);
    expect((await staged()).things).toHaveLength(96);
  });

  it.each([
    ['a range whose ends are the wrong way round', 'int4range', '[1,5)', '[9,1)', '22000'],
    ['bytes that are none', 'bytea', '\\\\x00ff', '\\\\xzz', '22023'],
    ['too many bits', 'bit(8)', '10101010', '101010101', '22026'],
  ])('refuses %s alone (H2)', async (_, type, good, wrong, sqlstate) => {
    const table = `sluice_staging."${stagingTargets(PLAN, job)[1]?.stagingName ?? ''}"`;
    await pool.query(`ALTER TABLE ${table}
      ALTER name TYPE ${type} USING NULL`);
    await load(batch(0, { part: `0\tt0\t${good}\n1\tt1\t${wrong}\n` }));
    const { rows } = await pool.query<{ refusals: LoadRefusal[] }>(
      'SELECT load_refusals AS refusals FROM sluice.ledger',
    );
    expect(rows[0]?.refusals).toMatchObject([
      { record: 1, sqlstate, findings: [{ code: 'REFUSED_BY_DATABASE' }] },
    ]);
    expect((await pool.query(`SELECT FROM ${table}`)).rowCount).toBe(1);
  });

  it('refuses a record from which a generated column cannot be computed, alone (H3)', async () => {
    await pool.query(`ALTER TABLE sluice_staging."${stagingTargets(PLAN, job)[0]?.stagingName ?? ''}"
      ADD share int GENERATED ALWAYS AS (100 / amount) STORED`);
    await load(batch(0, { thing: '0\tt0\t0\n1\tt1\t1\n' }));
    expect((await staged()).things).toEqual(['t1']);
  });

  it('does not blame a record that is taken alone: the job is paused (RC1, G10)', async () => {
    const flaky = batch(0, { thing: '0\tt0\t1\n1\tevery other time\t1\n', part: '0\tt0\ta\n' });
    await expect(load(flaky)).rejects.toMatchObject({ code: 'JOB_PAUSED', retryable: true });
    expect(await paused()).toMatchObject({
      state: 'paused',
      pause_reason: 'fault',
      pause_detail: { code: 'DATABASE_FAULT', message: expect.stringContaining('took it alone') },
    });
    expect(await staged()).toEqual({ things: [], parts: [], batches: [] });
    await continued();
    // The next try is an even one.
    await pool.query(`SELECT setval('public.tries', 1)`);
    expect(await load(flaky)).toMatchObject({ kind: 'loaded' });
    expect((await staged()).things).toEqual(['t0', 'every other time']);
  });

  it('says which column could not be read, and which constraint refused (issue: SQLSTATE, constraint, column)', async () => {
    await load(batch(0, { thing: '0\tt0\tmany\n1\tt1\t1000\n' }));
    const { rows } = await pool.query<{ refusals: LoadRefusal[] }>(
      'SELECT load_refusals AS refusals FROM sluice.ledger',
    );
    expect(rows[0]?.refusals).toMatchObject([
      { record: 0, sqlstate: '22P02', findings: [{ field: 'amount' }] },
      {
        record: 1,
        sqlstate: '23514',
        findings: [{ message: expect.stringContaining('constraint thing_amount_check') }],
      },
    ]);
  });

  it('still takes what is under way for a failed job that may be resumed (LD2)', async () => {
    await pool.query(`UPDATE sluice.job SET state = 'failed', finished_at = now() WHERE id = $1`, [job]);
    expect(await load(batch(0))).toMatchObject({ kind: 'loaded' });
    await pool.query('UPDATE sluice.job SET resumable = false WHERE id = $1', [job]);
    expect(await load(batch(1))).toEqual({ kind: 'dropped', state: 'failed' });
  });

  describe('behind the transaction of another loader', () => {
    let other: pg.Client;
    let ended: Promise<unknown>;

    beforeEach(async () => {
      other = new pg.Client({ connectionString: server.url, application_name: 'sluice loader other:1' });
      ended = new Promise((resolve) => other.on('error', resolve));
      await other.connect();
      await other.query('BEGIN');
      await other.query(
        `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c,
           accepted, refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset)
         VALUES ($1, 0, 0, 2, 2, 0, 10, 1, 2, 0, 0, 0, '{}', 'sluice.things.raw', 0, 0)`,
        [job],
      );
    });

    afterEach(() => other.end().catch(() => undefined));

    it('ends one that has stalled, and goes on', async () => {
      expect(await load(batch(0))).toMatchObject({ kind: 'loaded', fresh: [{ batch: 0 }] });
      expect(await ended).toMatchObject({ code: '57P01' });
    });

    it('waits for one that is younger than a session', async () => {
      looks = 0;
      const patient = new GroupLoader({ pool, logger: pino({ level: 'silent' }), sessionTimeoutMs: 600_000 });
      const group = { dataset: 'things', job, batches: [batch(0)] };
      const loading = patient.load(group, loaderPlan(PLAN, 1, job), () => undefined);
      await eventually(() => looks > 0, 'a look at who is in the way');
      await other.query('COMMIT');
      expect(await loading).toMatchObject({ kind: 'loaded', fresh: [], repeated: [{ batch: 0 }] });
    });
  });

  it('loads nothing for a job that is not running (G5)', async () => {
    for (const state of ['finalizing', 'cancelled', 'succeeded']) {
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

  describe('of batches that must not be loaded', () => {
    const jobRow = async (): Promise<Record<string, unknown>> =>
      (
        await pool.query<Record<string, unknown>>(
          `SELECT state, pause_reason AS reason, coalesce(pause_detail, error) AS why FROM sluice.job`,
        )
      ).rows[0] ?? {};

    it.each([
      ['another version than the job', { contractVersion: 2 }, 'validated by version 2'],
      ['other tables than ours', { plan: 'another plan' }, 'other tables or columns'],
      [
        'a version that the validator lacks',
        { fault: { code: 'CONTRACT_MISMATCH', message: 'another version' }, sections: [] },
        'another version',
      ],
    ])('of %s: pauses the job, loads nothing and holds up nothing (LD5)', async (_, facts, words) => {
      expect(await load(batch(0), { ...batch(1), ...facts })).toEqual({ kind: 'dropped', state: 'paused' });
      expect(await jobRow()).toMatchObject({
        state: 'paused',
        reason: 'contract',
        why: { code: 'CONTRACT_MISMATCH', message: expect.stringContaining(words) },
      });
      expect(await load(batch(2))).toEqual({ kind: 'dropped', state: 'paused' });
      expect(await staged()).toEqual({ things: [], parts: [], batches: [] });
    });

    it('pauses a job of another version than its own contract’s (LD5)', async () => {
      await pool.query('UPDATE sluice.job SET contract_version = 7');
      expect(await load({ ...batch(0), contractVersion: 7 })).toEqual({ kind: 'dropped', state: 'paused' });
      expect(await jobRow()).toMatchObject({ why: { message: expect.stringContaining('version 7') } });
    });

    it('loads what an older build sent, which says neither version nor plan', async () => {
      const old = { ...batch(0), contractVersion: null, plan: null };
      expect(await load(old)).toMatchObject({ kind: 'loaded', fresh: [{ batch: 0 }] });
    });

    it('fails the job when a batch could not be validated (LD6)', async () => {
      const fault = { code: 'DATASET_INVALID', message: 'the file has no column "b"' };
      expect(await load({ ...batch(0), fault, sections: [] })).toEqual({ kind: 'dropped', state: 'failed' });
      expect(await jobRow()).toMatchObject({
        state: 'failed',
        why: { ...fault, action: expect.any(String) },
      });
      // It may be resumed, so other batches of it are still taken; those that are no batches are dropped.
      expect(await load({ ...batch(0), fault, sections: [] })).toEqual({ kind: 'dropped', state: 'failed' });
      expect((await staged()).batches).toEqual([]);
    });

    it('does nothing of the kind to a job that has ended', async () => {
      await pool.query(`UPDATE sluice.job SET state = 'cancelled', finished_at = now()`);
      const fault = { code: 'CONTRACT_MISMATCH', message: 'another version' };
      expect(await load({ ...batch(0), fault, sections: [] })).toEqual({
        kind: 'dropped',
        state: 'cancelled',
      });
      expect(await jobRow()).toMatchObject({ state: 'cancelled' });
    });

    it.each([
      ['bytes', { crc32c: 2 }],
      ['counts', { counts: { records: 2, accepted: 1, refused: 1, skipped: 0, warnings: 0 } }],
      ['place', { byteEnd: 11 }],
    ])('fails the job when a batch comes again with other %s (LD6)', async (_, facts) => {
      await load(batch(0));
      const again = { ...batch(0), ...facts };
      expect(await load(batch(1), again)).toEqual({ kind: 'dropped', state: 'failed' });
      expect(await jobRow()).toMatchObject({ state: 'failed', why: { code: 'BATCH_DIFFERS' } });
      expect((await staged()).batches).toEqual([0]);
    });

    it('takes none without a seal for a job whose messages are sealed (LD7)', async () => {
      await pool.query('UPDATE sluice.job SET signed = true');
      const checking = loaderPlan(PLAN, 1, job, true);
      const group = { dataset: 'things', job, batches: [batch(0), { ...batch(1), sealed: true }] };
      expect(await loader.load(group, checking, () => undefined)).toMatchObject({ fresh: [{ batch: 1 }] });
      expect((await staged()).batches).toEqual([1]);
    });

    it('pauses such a job, and keeps its batches, when it cannot check seals itself (LD8)', async () => {
      await pool.query('UPDATE sluice.job SET signed = true');
      await expect(load({ ...batch(0), sealed: false })).rejects.toMatchObject({ code: 'JOB_PAUSED' });
      expect(await jobRow()).toMatchObject({
        ...{ state: 'paused', reason: 'fault' },
        why: { message: expect.stringContaining('SLUICE_MESSAGE_KEY') },
      });
    });

    it('drops batches of epochs that the job never had, or that it had before it began again (LD7)', async () => {
      await pool.query('UPDATE sluice.job SET epoch = 5, first_epoch = 3');
      const outcome = await load(
        { ...batch(0), epoch: 777 },
        { ...batch(1), epoch: 2 },
        { ...batch(2), epoch: 3 },
        { ...batch(3), epoch: 5 },
      );
      expect(outcome).toMatchObject({ kind: 'loaded', fresh: [{ batch: 2 }, { batch: 3 }], repeated: [] });
      expect((await staged()).batches).toEqual([2, 3]);
      expect(await load({ ...batch(4), epoch: 6 })).toEqual({ kind: 'dropped', state: 'running' });
    });
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

const linesOf = (text: string): number => text.split('\n').length - 1;

function withSection(
  message: CleanMessage,
  name: string,
  change: Partial<CleanMessage['sections'][number]>,
): CleanMessage {
  const sections = message.sections.map((section) =>
    section.table === name ? { ...section, ...change } : section,
  );
  return { ...message, sections };
}

/** Tells of every COPY that goes over the connection, which is real. */
function countCopies(client: pg.PoolClient, told: (table: string) => void): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  client.query = ((...args: unknown[]) => {
    const [statement] = args;
    const text =
      typeof statement === 'object' && statement !== null && 'text' in statement ? statement.text : '';
    const table = typeof text === 'string' ? /^COPY sluice_staging\."?(\w+)/.exec(text)?.[1] : undefined;
    if (table !== undefined) told(table);
    return query(...args);
  }) as typeof client.query;
}
