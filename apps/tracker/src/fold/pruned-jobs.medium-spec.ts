/** Jobs of streams whose rows were pruned: what comes late about them, what a rebuild makes of them, and how lists show them. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { DeadLetterGroupPage, DeadLetterView } from '#api/dead-letters.js';
import type { JobSummary } from '#api/jobs.js';
import type { Page } from '#api/pages.js';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import { FOLD_LOCK } from '#core/job/begin-again.js';
import { pruneStreamJobs } from '#core/job/prune-stream-jobs.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { BatchEvent } from '#core/message/status-event.js';
import { OpenDeadLetters } from '#core/repair/open-dead-letters.js';
import { eventually } from '#test/support/eventually.js';
import { fillFinishedJobs } from '#test/support/finished-stream-jobs.js';
import { OWN_LOCKS, type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { foldsOver } from '../testing/folds.js';
import { type ReadApiApp, startReadApi } from '../testing/read-api-app.js';
import type { FoldRepository } from './fold.repository.js';

const JOBS = 40;
const OLD = { keepHours: 1, keepJobs: 10, limit: 1_000 };

describe('pruned jobs of streams', () => {
  let server: TestDatabase;
  let api: ReadApiApp;
  let pool: pg.Pool;
  let folds: FoldRepository;
  let ids: string[];

  beforeAll(async () => {
    server = await startMigratedDatabase();
    api = await startReadApi({ databaseUrl: server.url });
    pool = createPool({ url: server.url, applicationName: 'pruned jobs', maxConnections: 4 });
    folds = foldsOver(pool);
  });

  afterAll(async () => {
    await pool.end();
    await api.stop();
    await server.stop();
  });

  beforeEach(async () => {
    await pool.query(
      `TRUNCATE sluice.job, sluice.stream, sluice.stream_hour, sluice.pruned_job, sluice.job_batch, sluice.job_stage,
         sluice.dead_letter, sluice.dead_letter_group CASCADE`,
    );
    const sql = (text: string, values?: unknown[]): Promise<unknown> => pool.query(text, values);
    await fillFinishedJobs(sql, { jobs: JOBS, from: new Date('2026-01-01T10:00:00Z'), refusedEvery: 10 });
    ids = (await pool.query<{ id: string }>('SELECT id FROM sluice.job ORDER BY id')).rows.map(
      ({ id }) => id,
    );
  });

  const prune = (): Promise<number> =>
    inTransaction(pool, (client) => pruneStreamJobs(client, 'things', OLD));
  const countOf = async (table: string, job: string): Promise<number> =>
    Number(
      (await pool.query<{ count: string }>(`SELECT count(*) FROM sluice.${table} WHERE job = $1`, [job]))
        .rows[0]?.count,
    );
  const get = async <T>(path: string): Promise<T> => (await (await fetch(api.url + path)).json()) as T;

  const batchEvent = (job: string): BatchEvent => ({
    ...{
      type: 'batch',
      dataset: 'things',
      job,
      batch: 0,
      stage: 'load',
      records: 20,
      bytes: 2_000,
      accepted: 20,
    },
    ...{ refused: 0, skipped: 0, warnings: 0, findings: {}, at: '2026-01-01T10:00:01.000Z', epoch: 1 },
  });
  const letter = (job: string, record: number): DeadLetter => ({
    ...{ dataset: 'things', job, batch: 0, record, line: 8, byteStart: 700, byteEnd: 800, stage: 'validate' },
    findings: [{ code: 'BAD_NUMBER', field: 'number', message: 'is wrong', severity: 'error' }],
    ...{ sqlstate: null, attempt: 0, columns: ['number', 'name'], bytes: Buffer.from('x') },
  });

  it('events that come late, or again, are not folded; those of jobs that have their rows are', async () => {
    expect(await prune()).toBe(JOBS - 10);
    const [pruned = '', kept = ''] = [ids[3], ids.at(-2)];
    await pool.query('DELETE FROM sluice.job_batch WHERE job = $1', [kept]);
    await folds.foldEvents([
      batchEvent(pruned),
      batchEvent(kept),
      {
        type: 'job',
        dataset: 'things',
        job: pruned,
        state: 'succeeded',
        step: null,
        at: '2026-01-01T10:00:02.000Z',
      },
    ]);
    expect([await countOf('job_batch', pruned), await countOf('job_stage', pruned)]).toEqual([0, 0]);
    expect(await countOf('job_batch', kept)).toBe(1);
    // A job of another dataset whose row is lost, from the same hour.
    const other = ids[4]?.replace(/.$/, 'f') ?? '';
    await folds.foldEvents([{ ...batchEvent(other), dataset: 'others' }]);
    expect(await countOf('job_batch', other)).toBe(1);
  });

  it('their dead letters stay, come back with a rebuild, and count in their groups alone', async () => {
    await folds.indexDeadLetters([letter(ids[10] ?? '', 8)]);
    await prune();
    const before = await get<Page<DeadLetterView>>(`/dead-letters?dataset=things`);
    expect(before.items.map(({ job }) => job)).toEqual(
      [ids[30], ids[20], ids[10], ids[10], ids[0]].map((id) => id),
    );
    // The same delivery again.
    await folds.indexDeadLetters([letter(ids[10] ?? '', 8)]);
    await folds.clear();
    await folds.indexDeadLetters([0, 10, 20].map((at) => letter(ids[at] ?? '', 7)));
    expect((await get<Page<DeadLetterView>>('/dead-letters')).items).toHaveLength(3);
    const groups = await get<DeadLetterGroupPage>('/dead-letters/groups');
    expect(groups.items.map(({ counts }) => counts.open)).toEqual([3]);
    expect(await countOf('job_stage', ids[10] ?? '')).toBe(0);
    const response = await fetch(`${api.url}/dead-letters/discard`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ ids: [`${ids[10] ?? ''}:7`], reason: 'a test' }),
    });
    expect(await response.json()).toMatchObject({ discarded: 1 });
    expect((await get<DeadLetterGroupPage>('/dead-letters/groups')).items[0]?.counts).toMatchObject({
      open: 2,
      discarded: 1,
    });
  });

  it('their dead letters can be sent again: contract version and context are still known', async () => {
    const all = { where: 'true', parameters: [] };
    const origins = async (): Promise<unknown[]> =>
      inTransaction(pool, async (client) =>
        (await new OpenDeadLetters().page(client, all, { after: null })).map(({ id, origin }) => [
          id,
          origin,
        ]),
      );
    await pool.query(`UPDATE sluice.job SET head = jsonb_set(head, '{context,day}', '"1"')`);
    const before = await origins();
    expect(before).toHaveLength(4);
    await prune();
    expect(await origins()).toEqual(before);
  });

  it('a page about one of them says that its rows were deleted', async () => {
    await prune();
    const response = await fetch(`${api.url}/jobs/${ids[3] ?? ''}`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      code: 'JOB_UNKNOWN',
      detail: expect.stringContaining('stream of things'),
    });
    expect(await (await fetch(`${api.url}/jobs/01890000-0000-7000-8000-000000000001`)).json()).toMatchObject({
      detail: 'No job has the id 01890000-0000-7000-8000-000000000001.',
    });
  });

  it('pruning waits for what is being folded', async () => {
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query(FOLD_LOCK);
    const pruning = prune();
    await eventually(async () => {
      const { rowCount } = await pool.query(
        `SELECT FROM ${OWN_LOCKS} WHERE locktype = 'advisory' AND NOT granted`,
      );
      return rowCount === 1;
    }, 'the pruning to wait');
    await client.query('COMMIT');
    client.release();
    expect(await pruning).toBe(JOBS - 10);
  });

  it('lists hide those of streams that went well, page by page', async () => {
    await pool.query(
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version)
       SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, CASE n WHEN 3 THEN 'others' ELSE 'things' END, 'upsert', 'queued',
         '{"kind": "file", "display": "x"}', '', false, 1, '{}', 1 FROM generate_series(1, 4) AS made (n)`,
    );
    await pool.query(`UPDATE sluice.job SET state = 'failed' WHERE id = ANY($1)`, [[ids[7], ids[9]]]);
    const listed = async (query: string): Promise<string[]> => {
      const found: string[] = [];
      for (let cursor = ''; ;) {
        const page = await get<Page<JobSummary>>(`/jobs?limit=2&${query}${cursor}`);
        found.push(...page.items.map(({ id }) => id.slice(-2)));
        if (page.next === null) return found;
        cursor = `&cursor=${page.next}`;
      }
    };
    const ends = ids.map((id) => id.slice(-2)).toReversed();
    expect(await listed('streams=hidden')).toEqual(
      [ids[9], ids[7]].map((id) => id?.slice(-2)).concat('04', '03', '02', '01'),
    );
    expect(await listed('streams=hidden&dataset=things&state=queued')).toEqual(['04', '02', '01']);
    expect(await listed('streams=hidden&state=failed')).toEqual([ids[9], ids[7]].map((id) => id?.slice(-2)));
    expect(await listed('stream=things')).toEqual(ends);
    expect(await listed('stream=things&state=failed')).toEqual([ids[9], ids[7]].map((id) => id?.slice(-2)));
    expect(await listed('')).toEqual([...ends, '04', '03', '02', '01']);
    expect((await fetch(`${api.url}/jobs?streams=some`)).status).toBe(400);
  });
});
