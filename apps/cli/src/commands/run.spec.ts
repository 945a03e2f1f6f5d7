import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JobCounts } from '#api/job-facts.js';
import type { JobDetail } from '#api/jobs.js';
import { ApiServer, JOB_ID, jobDetail, problem } from '#test/support/cli/api-server.js';
import type { CliHarness } from '#test/support/cli/cli-harness.js';
import { COUNTS, stage, startRunSetting, succeeded } from '#test/support/cli/run-fixtures.js';

describe('sluice run', () => {
  let api: ApiServer;
  let cli: CliHarness;
  let folder: string;

  beforeEach(async () => {
    ({ api, cli, folder } = await startRunSetting());
  });

  afterEach(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });

  it('posts what was asked for, files by their absolute names, and reports', async () => {
    const args = [
      '--source',
      'customers.csv',
      '--limit',
      '1,000',
      '--max-refused',
      '1%',
      '--option',
      'checksum=off',
    ];
    expect(await cli.run('run', 'customers', ...args, '--allow-shrink')).toBe(0);
    expect(api.posted).toEqual([
      {
        path: '/jobs',
        authorization: undefined,
        body: {
          dataset: 'customers',
          source: join(folder, 'customers.csv'),
          mode: 'replace',
          limit: 1000,
          maxRefusedShare: 0.01,
          allowShrink: true,
          options: { checksum: 'off' },
        },
      },
    ]);
    expect(cli.stdout.text).toMatchInlineSnapshot(`
     "Job 01998f3e-7c4a-7000-8000-3f5b8e2d9a10 (customers, replace) succeeded after 12.3 s.

       read                300,000
       loaded              299,200   24,325 rows/s
       refused                 700   0.23 %
       skipped                 100
       superseded                0
       warnings              1,203

     By reason:
       BAD_DATE                        1,203
       BAD_NUMBER                        500
       DUPLICATE                         200

     The rows are in:
       customer                     0 rows
       customer_address             0 rows

     To look at them:
       eval "$(npx sluice env)"
       psql "$DATABASE_URL" -c 'SELECT * FROM customer LIMIT 10'

     The refused records, each with its reasons:
       npx sluice dead-letters --job 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
       npx sluice dead-letters --job 01998f3e-7c4a-7000-8000-3f5b8e2d9a10 --export refused.csv
     "
    `);
  });

  it('takes what a URL would end at for a part of the name of a file', async () => {
    const file = join(folder, 'a #1?.csv');
    writeFileSync(file, 'number,name\n');
    for (const source of ['a #1?.csv', file, pathToFileURL(file).href])
      expect(await cli.run('run', 'customers', '--source', source)).toBe(0);
    expect(api.posted.map(({ body }) => (body as { source: string }).source)).toEqual([file, file, file]);
  });

  it('--json prints exactly one object', async () => {
    expect(await cli.run('run', 'customers', '--source', 'https://host/x.csv', '--json')).toBe(0);
    expect(cli.stdout.text.endsWith('}\n')).toBe(true);
    expect(JSON.parse(cli.stdout.text)).toEqual({
      ok: true,
      job: JOB_ID,
      dataset: 'customers',
      mode: 'replace',
      state: 'succeeded',
      counts: {
        read: 300_000,
        accepted: 299_400,
        refused: 700,
        skipped: 100,
        loaded: 299_200,
        inserted: 299_200,
        updated: 0,
        unchanged: 0,
        deleted: 0,
        superseded: 0,
        warnings: 1203,
      },
      findings: { BAD_NUMBER: 500, BAD_DATE: 1203, DUPLICATE: 200 },
      categories: {},
      unknownMembers: [],
      seconds: 12.3,
      error: null,
      pauseReason: null,
      pauseDetail: null,
      problem: null,
      wait: null,
      resumable: false,
      discarded: null,
    });
    expect(cli.stderr.text).toBe('');
  });

  it('names the members that the contract did not read, and no name steers the terminal', async () => {
    const unknownMembers = [
      { name: 'customer.phone', records: 1200 },
      { name: 'a\u001b[2J', records: 1 },
    ];
    api.newJob = succeeded({ unknownMembers });
    const args = ['run', 'customers', '--source', 'https://host/x.csv', '--yes'];
    expect(await cli.run(...args)).toBe(0);
    expect(cli.stdout.text).toContain(
      'Members that the contract does not read, and records that hold them:\n' +
        '  customer.phone: 1,200\n  a\\u001b[2J: 1\n',
    );
  });

  it('--json shows what a job had seen that ended before it had counts', async () => {
    api.newJob = jobDetail({
      state: 'cancelled',
      stages: [stage({ records: 500 }), stage({ stage: 'validate', accepted: 390, refused: 10 })],
      deadLetters: { known: 10, expected: null, complete: true },
    });
    expect(await cli.run('run', 'customers', '--source', 'https://host/x.csv', '--json')).toBe(6);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({
      state: 'cancelled',
      counts: { read: 500, accepted: 390, refused: 10, skipped: 0, loaded: 0, superseded: 0, warnings: 0 },
    });
  });

  describe('how it ends', () => {
    const error = (code: string) => ({ code, message: 'It went wrong.', action: 'Do this.' });

    it.each([
      ['failed', 1, { state: 'failed', error: error('SOURCE_UNAVAILABLE'), counts: null }],
      ['too many refused', 3, { state: 'failed', error: error('JOB_REFUSED_SHARE') }],
      ['one refused, and it is strict', 3, { state: 'failed', error: error('STRICT_REFUSED') }],
      ['cancelled', 6, { state: 'cancelled' }],
    ] as const)('%s', async (_what, code, facts) => {
      api.newJob = succeeded(facts);
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(code);
      expect(cli.stdout.text).toContain('The tables are as they were.');
      if ('error' in facts) {
        expect(cli.stdout.text).toContain(`what happened  It went wrong. [${facts.error.code}]`);
        expect(cli.stdout.text).toContain('what to do     Do this.');
      }
    });

    it('a refused head: one finding a line, and none can steer the terminal', async () => {
      const message = 'x.csv: COLUMN_MISSING: The header has no "a".\nBAD_HEAD: \u001b[2J is no date.';
      api.newJob = succeeded({
        state: 'failed',
        error: { ...error('SOURCE_REFUSED'), message },
        counts: null,
      });
      await cli.run('run', 'customers', '--source', 'customers.csv');
      expect(cli.stdout.text).toContain(
        '  what happened  x.csv: COLUMN_MISSING: The header has no "a".\n' +
          '                 BAD_HEAD: \\u001b[2J is no date. [SOURCE_REFUSED]\n',
      );
    });

    it('another job is active', async () => {
      api.problem = problem({
        status: 409,
        code: 'JOB_ACTIVE',
        detail: 'customers is being loaded.',
        activeJob: JOB_ID,
      });
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(5);
      expect(cli.stderr.text).toContain('error: customers is being loaded.');
      expect(cli.stderr.text).toContain(`watch ${JOB_ID}`);
      expect(cli.stderr.text).toContain(`cancel ${JOB_ID}`);
      expect(cli.stdout.text).toBe('');
    });

    it('wrong fields, all of them', async () => {
      const errors = [
        { field: 'limit', message: 'must be at least 1' },
        { field: 'source', message: 'lies outside of the allowed folders' },
      ];
      api.problem = problem({
        status: 422,
        code: 'REQUEST_INVALID',
        detail: 'Two fields are wrong.',
        errors,
      });
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(2);
      expect(cli.stderr.text).toMatchInlineSnapshot(`
       "error: Two fields are wrong. [REQUEST_INVALID]
         limit: must be at least 1
         source: lies outside of the allowed folders
         to do: Correct the listed fields.
       "
      `);
    });

    it('one wrong field, once', async () => {
      const detail = 'source must be a URL or an absolute path';
      const errors = [{ field: 'source', message: detail }];
      api.problem = problem({ status: 422, code: 'REQUEST_INVALID', detail, errors });
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(2);
      expect(cli.stderr.text).toBe(
        `error: ${detail} [REQUEST_INVALID]\n  to do: Correct the listed fields.\n`,
      );
    });

    it('the tracker does not answer', async () => {
      await api.close();
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(4);
      expect(cli.stderr.text).toContain('does not answer (ECONNREFUSED)');
      expect(cli.stderr.text).toContain('sluice up');
      api = await ApiServer.start();
    });

    it('no system is known', async () => {
      cli.environment = {};
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(4);
      expect(cli.stderr.text).toContain('sluice up');
    });

    it('another program listens on the port', async () => {
      cli.environment = { ...cli.environment, SLUICE_TRACKER_URL: `${api.url}/elsewhere` };
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(4);
      expect(cli.stderr.text).toContain('not an answer of Sluice');
    });
  });

  describe('while the job runs', () => {
    const running = (records: number): JobDetail =>
      jobDetail({
        state: 'running',
        stages: [stage({ records, totalRecords: 1000, recordsPerSecond: 100, etaSeconds: 5 })],
      });

    beforeEach(() => {
      api.newJob = running(0);
    });

    const start = async (...args: string[]): Promise<{ code: Promise<number> }> => {
      const code = cli.run('run', 'customers', '--source', 'customers.csv', ...args);
      await api.until(() => api.listeners === 1);
      return { code };
    };

    it('prints plain lines elsewhere than on a terminal', async () => {
      cli.tick = 2000;
      const { code } = await start();
      await cli.stderr.until('ingest 0 %');
      api.tell(running(500));
      await cli.stderr.until('ingest 50 %');
      api.tell(succeeded());
      expect(await code).toBe(0);
      expect(cli.stderr.text).toBe(
        'running: ingest 0 %; 0 of 1,000 records, 100/s\n' +
          'running: ingest 50 %; 500 of 1,000 records, 100/s\n' +
          'succeeded\n',
      );
    });

    it('draws one bar a stage on a terminal', async () => {
      cli.onTerminal();
      const { code } = await start('--yes');
      api.tell(running(500));
      await cli.stderr.until('500 records');
      expect(cli.stderr.text).toContain(
        'ingest    [████████████░░░░░░░░░░░░]   50 %          500 records  100/s  5.0 s left',
      );
      api.tell(succeeded({ stages: [stage({ records: 1000, totalRecords: 1000, done: true })] }));
      expect(await code).toBe(0);
      expect(cli.stderr.text).toContain('finalize  [████████████████████████]  100 %');
    });

    it('reports when the tracker knows every refused record, and not before', async () => {
      cli.tick = 2000;
      const { code } = await start();
      api.tell(succeeded({ deadLetters: { known: 600, expected: 700, complete: false } }));
      await cli.stderr.until('succeeded');
      expect(cli.stdout.text).toBe('');
      api.tell(succeeded());
      expect(await code).toBe(0);
      expect(cli.stdout.text).toContain('succeeded');
    });

    it('continues when the event stream breaks off', async () => {
      const { code } = await start();
      api.dropStreams();
      await api.until(() => api.listeners === 1);
      api.tell(succeeded());
      expect(await code).toBe(0);
    });

    it('asks again and again when there is no event stream', async () => {
      api.hasEvents = false;
      const code = cli.run('run', 'customers', '--source', 'customers.csv');
      await api.until(() => api.asked.filter((path) => path === `/jobs/${JOB_ID}`).length >= 2);
      api.tell(succeeded());
      expect(await code).toBe(0);
    });

    it('detaches on Ctrl-C: says how to follow the job again, and leaves it alone', async () => {
      const { code } = await start();
      cli.pressCtrlC();
      expect(await code).toBe(130);
      expect(cli.stderr.text).toContain('The job continues.');
      expect(cli.stderr.text).toContain(`watch ${JOB_ID}`);
      expect(cli.stderr.text).toContain(`cancel ${JOB_ID}`);
      expect(cli.stdout.text).toBe('');
      expect(api.posted).toHaveLength(1);
    });

    it('ends when the job is paused, with its own code, the reasons and what to do', async () => {
      const { code } = await start();
      const reasons = [{ code: 'BAD_NUMBER', count: 12_000 }];
      const pauseDetail = { code: 'JOB_BREAKER', message: 'Too many.', action: 'Look.', reasons };
      api.tell({ ...running(500), state: 'paused', pauseReason: 'breaker', pauseDetail });
      expect(await code).toBe(9);
      expect(cli.stdout.text).toContain('is paused (breaker).');
      expect(cli.stdout.text).toContain('Too many. [JOB_BREAKER]');
      expect(cli.stdout.text).toMatch(/BAD_NUMBER +12,000/);
      expect(cli.stdout.text).toContain(`npx sluice continue ${JOB_ID}\n  npx sluice cancel ${JOB_ID}\n`);
    });

    it('ends when an operator pauses the job: when it will be continued is not known', async () => {
      const { code } = await start('--json');
      api.tell({ ...running(500), state: 'paused', pauseReason: 'operator' });
      expect(await code).toBe(9);
      expect(JSON.parse(cli.stdout.text)).toMatchObject({ state: 'paused', pauseReason: 'operator' });
    });

    it('ends when batches of the job are missing, and says what to do', async () => {
      const { code } = await start();
      const problem = {
        code: 'BATCHES_MISSING',
        message: 'Batch 3 is gone.',
        action: 'x',
        firstMissingBatch: 3,
      };
      api.tell({ ...running(500), problem });
      expect(await code).toBe(9);
      expect(cli.stdout.text).toContain('It cannot continue by itself: Batch 3 is gone. [BATCHES_MISSING]');
      expect(cli.stdout.text).toContain(`npx sluice resume ${JOB_ID}`);
    });

    it('waits for an interrupted job, which continues by itself', async () => {
      cli.tick = 2000;
      const { code } = await start();
      api.tell({ ...running(500), interrupted: true });
      await cli.stderr.until('interrupted');
      api.tell(succeeded());
      expect(await code).toBe(0);
    });
  });

  describe('merging', () => {
    const merged = (facts: Partial<JobCounts>): JobCounts => ({
      ...COUNTS,
      loaded: 299_000,
      inserted: 0,
      unchanged: 299_000,
      superseded: 200,
      ...facts,
    });
    const append = ['customers', '--source', 'customers.csv', '--mode', 'append'];

    it('says what became of the records', async () => {
      api.newJob = succeeded({ counts: merged({ inserted: 4_000, updated: 5_000, unchanged: 290_000 }) });
      expect(await cli.run('run', ...append)).toBe(0);
      expect(cli.stdout.text).toContain(
        '  loaded              299,000   24,309 rows/s\n' +
          '    inserted            4,000\n' +
          '    updated             5,000\n' +
          '    unchanged         290,000\n',
      );
      expect(cli.stdout.text).not.toContain('Nothing changed');
      expect(cli.stdout.text).not.toContain('deleted');
    });

    it('says how many rows were deleted, where there are some; a tracker of an older build does not count them', async () => {
      api.newJob = succeeded({ counts: merged({ unchanged: 298_000, deleted: 1_000 }) });
      expect(await cli.run('run', ...append)).toBe(0);
      expect(cli.stdout.text).toContain(
        '    unchanged         298,000\n    deleted             1,000\n  refused',
      );
      const { deleted: _deleted, ...older } = merged({});
      api.newJob = succeeded({ counts: older as JobCounts });
      expect(await cli.run('run', ...append, '--json')).toBe(0);
      expect(cli.stdout.text).toContain('"deleted":0');
    });

    it.each([
      ['the same file again', { unchanged: 299_000 }, true],
      ['one row that is new', { unchanged: 298_999, inserted: 1 }, false],
      ['one row that has changed', { unchanged: 298_999, updated: 1 }, false],
      ['one row that is deleted', { unchanged: 298_999, deleted: 1 }, false],
    ])('%s: says plainly whether anything changed', async (_what, counts, nothing) => {
      api.newJob = succeeded({ counts: merged(counts) });
      await cli.run('run', ...append);
      expect(cli.stdout.text.includes('Nothing changed: no record was new')).toBe(nothing);
    });

    it('posts what becomes of keys that are there, and the breaker of this run', async () => {
      const options = ['--existing', 'fail', '--breaker-share', '20%', '--breaker-count', '500'];
      expect(await cli.run('run', ...append, ...options)).toBe(0);
      expect(api.posted[0]?.body).toMatchObject({
        mode: 'append',
        existingKeys: 'fail',
        breakerShare: 0.2,
        breakerCount: 500,
      });
    });
  });

  it('a dry run says that nothing was kept', async () => {
    api.newJob = succeeded();
    expect(await cli.run('run', 'customers', '--source', 'customers.csv', '--dry-run')).toBe(0);
    expect(cli.stdout.text).toContain('nothing was kept');
    expect(cli.stdout.text).not.toContain('The rows are in');
  });
});
