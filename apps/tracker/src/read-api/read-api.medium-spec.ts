import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatasetView } from '#api/datasets.js';
import type { DeadLetterView } from '#api/dead-letters.js';
import type { BatchView, JobDetail, JobSummary } from '#api/jobs.js';
import type { Page } from '#api/pages.js';
import type { Problem } from '#api/problems.js';
import { migrate } from '#core/schema/migrate.js';
import { type TestDatabase, startPostgresServer, startMigratedDatabase } from '#test/support/postgres.js';
import { type ReadApiApp, startReadApi } from '../testing/read-api-app.js';
import { COUNTS, JOBS, MESSAGE, PARKED, PROBLEM, fill, registered } from '../testing/read-api-rows.js';

describe('read API', () => {
  let server: TestDatabase;
  let api: ReadApiApp;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    api = await startReadApi({ databaseUrl: server.url, datasets: [registered()] });
    await fill(api, server.url);
  });
  afterAll(async () => {
    await api.stop();
    await server.stop();
  });

  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(api.url + path);
    expect([path, response.status]).toEqual([path, 200]);
    return (await response.json()) as T;
  };
  const problem = async (path: string): Promise<Problem> => {
    const response = await fetch(api.url + path);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    const body = (await response.json()) as Problem;
    expect(body.status).toBe(response.status);
    return body;
  };
  const everyPage = async <T>(path: string, limit: number): Promise<T[]> => {
    const items: T[] = [];
    for (let cursor = ''; ;) {
      const page = await get<Page<T>>(`${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor}`);
      expect(page.items.length).toBeLessThanOrEqual(limit);
      items.push(...page.items);
      if (page.next === null) return items;
      cursor = `&cursor=${encodeURIComponent(page.next)}`;
    }
  };

  describe('GET /datasets', () => {
    it('counts rows exactly and leaves out tables that are not there yet', async () => {
      expect(await get<DatasetView[]>('/datasets')).toEqual([
        {
          name: 'shops',
          title: 'Shops',
          format: 'csv',
          writeModes: ['replace', 'append'],
          options: { checksum: ['reject', 'ignore'] },
          defaultSource: null,
          contractVersion: 3,
          build: null,
          fingerprint: expect.stringMatching(/^[0-9a-f]{12}$/),
          tables: [
            { table: 'shop', rows: 1234 },
            { table: 'odd "name', rows: 0 },
          ],
        },
      ]);
    });
  });

  describe('GET /jobs', () => {
    it('lists newest first, page by page, each job once', async () => {
      const whole = await get<Page<JobSummary>>('/jobs');
      expect(whole.next).toBeNull();
      expect(whole.items.map(({ id }) => id)).toEqual([...JOBS].reverse());
      for (const limit of [1, 2, 3, 4, 5])
        expect(await everyPage('/jobs', limit)).toEqual(whole.items.map(sameAge));
    });

    it('filters by dataset and state', async () => {
      const ids = async (query: string): Promise<string[]> =>
        (await get<Page<JobSummary>>(`/jobs?${query}`)).items.map(({ id }) => id);
      expect(await ids('dataset=shops')).toEqual([JOBS[3], JOBS[1], JOBS[0]]);
      expect(await ids('state=succeeded')).toEqual([JOBS[2], JOBS[1]]);
      expect(await ids('dataset=shops&state=succeeded')).toEqual([JOBS[1]]);
      expect(await ids('dataset=nothing')).toEqual([]);
    });

    it('shows a job without its credentials', async () => {
      const response = await fetch(`${api.url}/jobs`);
      const text = await response.text();
      expect(text).not.toMatch(/hunter2|secret/i);
      const [newest] = (JSON.parse(text) as Page<JobSummary>).items;
      expect(newest).toEqual({
        id: JOBS[3],
        dataset: 'shops',
        mode: 'replace',
        dryRun: false,
        state: 'running',
        interrupted: true,
        pauseReason: null,
        pauseDetail: null,
        problem: PROBLEM,
        wait: null,
        resumable: false,
        contractVersion: 1,
        afterJob: null,
        originJob: null,
        replay: null,
        stream: null,
        discarded: null,
        source: 'https://example.org/shops.csv',
        limit: null,
        createdAt: '2026-01-01T00:00:00.000Z',
        startedAt: '2026-01-01T00:00:01.000Z',
        finishedAt: null,
        seconds: expect.any(Number),
        counts: null,
        error: null,
      });
    });
  });

  describe('GET /jobs/:id', () => {
    it('gives progress from the folds while the job runs', async () => {
      const job = await get<JobDetail>(`/jobs/${JOBS[3]}`);
      expect(job.findings).toEqual({ BAD: 3 });
      expect(job.deadLetters).toMatchObject({ known: 3, expected: null, complete: false });
      expect(job.stages.map(({ stage, batches, records }) => [stage, batches, records])).toEqual([
        ['ingest', 3, 30],
        ['validate', 2, 20],
        ['load', 0, 0],
        ['finalize', 0, 0],
      ]);
      expect(job.stages[0]).toMatchObject({
        totalBytes: 1_000,
        recordsPerSecond: 10,
      });
      expect(JSON.stringify(job)).not.toMatch(/hunter2|secret/i);
    });

    it('gives the row’s counts and findings once it is final', async () => {
      const job = await get<JobDetail>(`/jobs/${JOBS[1]}`);
      expect(job.counts).toEqual(COUNTS);
      expect(job.findings).toEqual({ BAD: 2, DUPLICATE: 1 });
      expect(job.deadLetters).toMatchObject({ known: 3, expected: 3, complete: true });
      expect(job.seconds).toBe(9);
      expect(job.error).toBeNull();
    });
  });

  describe('GET /jobs/:id of a job that was cancelled', () => {
    const counted = async (batches: string): Promise<JobDetail['deadLetters']> => {
      await api.database.query('UPDATE sluice.job SET counted_batches = $2 WHERE id = $1', [
        JOBS[1],
        batches,
      ]);
      return (await get<JobDetail>(`/jobs/${JOBS[1]}`)).deadLetters;
    };

    it('waits for the dead letters of the batches that were loaded, whatever the validator refused besides', async () => {
      await api.database.query(`UPDATE sluice.job SET state = 'cancelled' WHERE id = $1`, [JOBS[1]]);
      try {
        // Three are known, and all are of batch 0.
        expect(await counted('{[1,3),[7,8)}')).toMatchObject({ known: 0, expected: 3, complete: false });
        expect(await counted('{[0,1),[7,8)}')).toMatchObject({ known: 3, expected: 3, complete: true });
      } finally {
        await api.database.query(
          `UPDATE sluice.job SET state = 'succeeded', counted_batches = NULL WHERE id = $1`,
          [JOBS[1]],
        );
      }
    });
  });

  describe('GET /jobs/:id/batches', () => {
    it('has one row a batch, in order, page by page', async () => {
      const whole = await get<Page<BatchView>>(`/jobs/${JOBS[3]}/batches`);
      expect(whole.items.map(({ batch }) => batch)).toEqual([0, 1, 2]);
      expect(whole.items[0]).toEqual({
        batch: 0,
        records: 10,
        bytes: 100,
        ingestedAt: '2026-01-01T00:00:01.000Z',
        validatedAt: '2026-01-01T00:00:02.000Z',
        loadedAt: null,
        accepted: 8,
        refused: 2,
        skipped: 0,
      });
      expect(whole.items[2]).toMatchObject({
        validatedAt: null,
        accepted: null,
        refused: null,
        skipped: null,
      });
      expect(await everyPage(`/jobs/${JOBS[3]}/batches`, 2)).toEqual(whole.items);
      expect(await get(`/jobs/${JOBS[0]}/batches`)).toEqual({ items: [], next: null });
    });
  });

  describe('GET /dead-letters', () => {
    it('lists the newest job first, in order of records, page by page, each dead letter once', async () => {
      const whole = await get<Page<DeadLetterView>>('/dead-letters');
      expect(whole.items.map(({ id }) => id)).toEqual([
        ...[1, 5, 7].map((record) => `${JOBS[3]}:${record}`),
        ...[2, 9, 10].map((record) => `${JOBS[1]}:${record}`),
      ]);
      for (const limit of [1, 2, 4]) expect(await everyPage('/dead-letters', limit)).toEqual(whole.items);
    });

    it('filters by job, code, dataset and stage', async () => {
      const records = async (query: string): Promise<number[]> =>
        (await everyPage<DeadLetterView>(`/dead-letters?${query}`, 2)).map(({ record }) => record);
      expect(await records(`job=${JOBS[3]}`)).toEqual([1, 5, 7]);
      expect(await records('code=DUPLICATE')).toEqual([10]);
      expect(await records('code=BAD')).toEqual([1, 5, 7, 2, 9]);
      expect(await records('code=ODD')).toEqual([]);
      expect(await records('stage=load')).toEqual([10]);
      expect(await records('dataset=shops')).toHaveLength(6);
      expect(await records('dataset=others')).toEqual([]);
      expect(await records(`job=${JOBS[1]}&code=BAD&stage=validate&dataset=shops`)).toEqual([2, 9]);
    });

    it('shows the message that a record came in, in lists too', async () => {
      const inList = (await get<Page<DeadLetterView>>(`/dead-letters?job=${JOBS[1]}`)).items.find(
        ({ record }) => record === 9,
      );
      const alone = await get<DeadLetterView>(`/dead-letters/${JOBS[1]}/9`);
      expect([inList?.message, alone.message]).toEqual([MESSAGE, MESSAGE]);
    });

    it('cuts a long record’s text in lists and keeps it whole alone, with its bytes', async () => {
      const [inList] = (await get<Page<DeadLetterView>>(`/dead-letters?job=${JOBS[1]}`)).items;
      expect(inList?.text).toBe('統'.repeat(1000));
      expect(inList).not.toHaveProperty('bytesBase64');
      const alone = await get<DeadLetterView>(`/dead-letters/${JOBS[1]}/2`);
      expect(alone.text).toBe('統'.repeat(1500));
      expect(alone.bytesBase64).toBe(Buffer.from('統'.repeat(1500)).toString('base64'));
    });

    it('gives any bytes exactly, and what is undecodable as U+FFFD', async () => {
      const alone = await get<DeadLetterView>(`/dead-letters/${JOBS[3]}/5`);
      expect(alone).toEqual({
        ...{ state: 'open', reason: null, edit: null, predecessor: null, successor: null },
        group: expect.stringMatching(/^[0-9a-f-]{36}$/),
        id: `${JOBS[3]}:5`,
        dataset: 'shops',
        job: JOBS[3],
        batch: 0,
        record: 5,
        line: 7,
        byteStart: 50,
        byteEnd: 60,
        stage: 'validate',
        codes: ['BAD'],
        findings: [
          { code: 'ODD', field: null, message: 'is odd', severity: 'warning' },
          { code: 'BAD', field: 'name', message: 'is wrong', severity: 'error' },
        ],
        sqlstate: null,
        attempt: 0,
        columns: ['no', 'name'],
        message: null,
        text: 'a\0\u{fffd}b',
        bytesBase64: Buffer.from([0x61, 0x00, 0xff, 0x62]).toString('base64'),
      });
    });
  });

  describe('GET /parked-messages', () => {
    it('lists newest first, page by page, each message once', async () => {
      expect(await get('/parked-messages')).toEqual({ items: PARKED, next: null });
      for (const limit of [1, 2, 3, 4]) expect(await everyPage('/parked-messages', limit)).toEqual(PARKED);
    });
  });

  describe('problems', () => {
    const OTHER_JOB = '01890000-0000-7000-8000-00000000ffff';

    it.each<[string, string]>([
      ['/jobs/42', 'id'],
      ['/jobs?limit=0', 'limit'],
      ['/jobs?limit=1001', 'limit'],
      ['/jobs?limit=many', 'limit'],
      ['/jobs?cursor=next', 'cursor'],
      ['/jobs?state=asleep', 'state'],
      ['/jobs?dataset=a&dataset=b', 'dataset'],
      ['/jobs?order=oldest', 'order'],
      [`/jobs/${JOBS[0]}?verbose=1`, 'verbose'],
      [`/jobs/${JOBS[0]}/batches?cursor=-1`, 'cursor'],
      ['/jobs/42/batches', 'id'],
      ['/jobs/42/events', 'id'],
      ['/dead-letters?job=42', 'job'],
      ['/dead-letters?stage=ingest', 'stage'],
      ['/dead-letters?code=', 'code'],
      [`/dead-letters?cursor=${OTHER_JOB}`, 'cursor'],
      ['/dead-letters?group=1', 'group'],
      ['/dead-letters?state=lost', 'state'],
      ['/dead-letters/groups?state=lost', 'state'],
      ['/dead-letters/groups?cursor=1', 'cursor'],
      ['/dead-letters/groups?job=1', 'job'],
      ['/repair-actions?cursor=1', 'cursor'],
      [`/dead-letters/${JOBS[0]}/first`, 'record'],
      ['/datasets?limit=1', 'limit'],
      ['/parked-messages?cursor=sluice.status/0', 'cursor'],
      ['/parked-messages?cursor=sluice.status/0/-1', 'cursor'],
      ['/parked-messages?topic=sluice.status', 'topic'],
    ])('answers 400 to %s and names %s', async (path, field) => {
      const { status, code, errors, action, detail } = await problem(path);
      expect({ status, code }).toEqual({ status: 400, code: 'REQUEST_INVALID' });
      expect([...new Set(errors?.map((error) => error.field))]).toEqual([field]);
      expect(detail).toContain(field);
      expect(action).not.toBe('');
    });

    it.each<[string, string]>([
      [`/jobs/${OTHER_JOB}`, 'JOB_UNKNOWN'],
      [`/jobs/${OTHER_JOB}/batches`, 'JOB_UNKNOWN'],
      [`/jobs/${OTHER_JOB}/events`, 'JOB_UNKNOWN'],
      [`/dead-letters/${JOBS[3]}/6`, 'DEAD_LETTER_UNKNOWN'],
      [`/dead-letters/${OTHER_JOB}/5`, 'DEAD_LETTER_UNKNOWN'],
    ])('answers 404 to %s', async (path, expected) => {
      const { status, code } = await problem(path);
      expect({ status, code }).toEqual({ status: 404, code: expected });
    });

    it('answers 404 to an address that is none', async () => {
      expect(await problem('/nowhere')).toMatchObject({ status: 404 });
    });
  });

  describe('OpenAPI', () => {
    interface OpenApi {
      paths: Record<string, Record<string, { responses: Record<string, { content?: object }> }>>;
      components: { schemas: Record<string, { properties?: Record<string, object>; required?: string[] }> };
    }

    it('describes every address, its answers and its problems', async () => {
      const { paths } = await get<OpenApi>('/openapi.json');
      const answers = Object.fromEntries(
        Object.entries(paths).map(([path, { get: operation }]) => [
          path,
          Object.keys(operation?.responses ?? {}).filter((status) => !['401', '403', '429'].includes(status)),
        ]),
      );
      expect(answers).toEqual({
        '/datasets': ['200', '400', '503'],
        '/jobs': ['200', '400', '503'],
        '/jobs/{id}': ['200', '400', '404', '503'],
        '/jobs/{id}/batches': ['200', '400', '404', '503'],
        '/jobs/{id}/events': ['200', '400', '404', '503'],
        '/dead-letters': ['200', '400', '503'],
        '/dead-letters/check': [],
        '/dead-letters/discard': [],
        '/dead-letters/edits': [],
        '/dead-letters/export': ['200', '400', '404', '422', '503'],
        '/dead-letters/fix': [],
        '/dead-letters/import': [],
        '/dead-letters/groups': ['200', '400', '503'],
        '/repair-actions': ['200', '400', '503'],
        '/dead-letters/{job}/{record}': ['200', '400', '404', '503'],
        '/parked-messages': ['200', '400', '503'],
        '/audit': ['200', '400', '503'],
      });
      expect(Object.keys(paths['/jobs']?.['get']?.responses['400']?.content ?? {})).toEqual([
        'application/problem+json',
      ]);
    });

    it('has schemas that name exactly what the answers hold', async () => {
      const { components } = await get<OpenApi>('/openapi.json');
      const named = (schema: string): string[] =>
        Object.keys(components.schemas[schema]?.properties ?? {}).sort();
      const job = await get<JobDetail>(`/jobs/${JOBS[1]}`);
      expect(named('JobDetailDto')).toEqual(Object.keys(job).sort());
      expect(named('StageProgressDto')).toEqual(Object.keys(job.stages[0] ?? {}).sort());
      expect(named('JobCountsDto')).toEqual(Object.keys(job.counts ?? {}).sort());
      const odd = await get<JobDetail>(`/jobs/${JOBS[0]}`);
      expect(odd).toMatchObject({ resumable: true, pauseReason: null });
      expect(named('JobErrorDto')).toEqual(Object.keys(odd.error ?? {}).sort());
      expect(named('PauseDetailDto')).toEqual(Object.keys(odd.pauseDetail ?? {}).sort());
      expect(named('ReasonCountDto')).toEqual(Object.keys(odd.pauseDetail?.reasons?.[0] ?? {}).sort());
      const stuck = await get<JobDetail>(`/jobs/${JOBS[3]}`);
      expect(named('JobProblemDto')).toEqual(Object.keys(stuck.problem ?? {}).sort());
      expect(named('DiscardedWorkDto')).toEqual(Object.keys(odd.discarded ?? {}).sort());
      expect(named('ParkedMessageDto')).toEqual(Object.keys(PARKED[0] ?? {}).sort());
      const letter = await get<DeadLetterView>(`/dead-letters/${JOBS[3]}/5`);
      expect(named('DeadLetterDto')).toEqual(Object.keys(letter).sort());
      const batches = await get<Page<BatchView>>(`/jobs/${JOBS[3]}/batches`);
      expect(named('BatchDto')).toEqual(Object.keys(batches.items[0] ?? {}).sort());
      const [dataset] = await get<DatasetView[]>('/datasets');
      expect(named('DatasetDto')).toEqual(Object.keys(dataset ?? {}).sort());
    });

    it('has a page to read it that needs nothing from elsewhere', async () => {
      const page = await (await fetch(`${api.url}/docs`)).text();
      expect(page).toContain('swagger-ui');
      expect(page).not.toMatch(/(src|href)="https?:/);
      const parts = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part = '']) => part);
      expect(parts.length).toBeGreaterThan(2);
      for (const part of parts) {
        const { status, headers } = await fetch(new URL(part, `${api.url}/docs`));
        expect([part, status, headers.get('x-powered-by')]).toEqual([part, 200, null]);
      }
      expect((await fetch(`${api.url}/docs/nothing`)).status).toBe(404);
      expect((await fetch(`${api.url}/docsy`)).status).toBe(404);
    });
  });
});

describe('read API without its database', () => {
  it('answers 503 and says so', async () => {
    const server = await startPostgresServer();
    await migrate(server.url, []);
    const api = await startReadApi({ databaseUrl: server.url });
    try {
      expect((await fetch(`${api.url}/jobs`)).status).toBe(200);
      await server.stop();
      for (const path of ['/jobs', `/jobs/${JOBS[0]}`, `/jobs/${JOBS[0]}/events`, '/dead-letters']) {
        const response = await fetch(api.url + path);
        expect([path, response.status]).toEqual([path, 503]);
        expect(await response.json()).toMatchObject({ code: 'DATABASE_UNAVAILABLE', status: 503 });
      }
    } finally {
      await api.stop();
    }
  });
});

/** A running job's seconds grow between two requests. */
function sameAge(summary: JobSummary): unknown {
  return summary.finishedAt === null ? { ...summary, seconds: expect.any(Number) } : summary;
}
