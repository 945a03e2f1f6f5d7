import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JobDetail } from '#api/jobs.js';
import { ApiServer, datasetView, JOB_ID, jobDetail } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { stage, succeeded } from '#test/support/cli/run-fixtures.js';

describe('looking at jobs', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [datasetView()];
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });

  afterEach(() => api.close());

  const ids = ['a', 'b', 'c', 'd', 'e'].map((letter) => JOB_ID.slice(0, -1) + letter);

  it('jobs lists the newest, page after page, as many as asked for', async () => {
    for (const id of ids) api.tell(jobDetail({ id, state: id.endsWith('b') ? 'failed' : 'succeeded' }));
    expect(await cli.run('jobs', '--last', '3')).toBe(0);
    expect(cli.stdout.text.trimEnd().split('\n')).toHaveLength(4);
    cli.stdout.text = '';
    await cli.run('jobs', '--state', 'failed', '--json');
    expect((JSON.parse(cli.stdout.text) as { id: string }[]).map(({ id }) => id)).toEqual([ids[1]]);
  });

  it('jobs lines its columns up', async () => {
    api.tell(jobDetail({ id: ids[0], state: 'paused', pauseReason: 'schema', dryRun: true, seconds: 75 }));
    await cli.run('jobs');
    expect(cli.stdout.text).toBe(
      'job       dataset    mode          state            read  loaded  refused        took  created (UTC)        source\n' +
        `${ids[0]?.slice(-8) ?? ''}  customers  replace, dry  paused (schema)     –       –        –  1 min 15 s  2026-01-31 12:00:00  /data/customers.csv\n`,
    );
  });

  it.each([
    [200, ['mode', 'state', 'read', 'loaded', 'refused', 'took', 'created', 'source']],
    [120, ['mode', 'state', 'read', 'loaded', 'refused', 'took', 'created', 'source']],
    [80, ['state', 'loaded', 'refused', 'created']],
    [60, ['state', 'loaded', 'refused']],
  ])('jobs fits a terminal of %i columns', async (columns, titles) => {
    const source = `/data/${'x'.repeat(100)}.csv`;
    api.tell(succeeded({ id: ids[0], state: 'failed', resumable: true, source }));
    cli.onTerminal();
    Object.assign(cli.stdout, { columns });
    await cli.run('jobs');
    const [head = '', row = ''] = cli.stdout.text.split('\n');
    expect(head.replace(' (UTC)', '').split(/ +/).slice(2)).toEqual(titles);
    expect(row.length).toBeLessThanOrEqual(columns);
    expect(row).toContain(ids[0]?.slice(-8));
    expect(row).toContain('failed (resumable)');
  });

  it('jobs shortens no source where no terminal is', async () => {
    const source = `/data/${'x'.repeat(300)}.csv`;
    api.tell(jobDetail({ source }));
    await cli.run('jobs');
    expect(cli.stdout.text).toContain(source);
  });

  it.each(['jobs', 'dead-letters'])('%s reports a mistyped dataset, not an empty one', async (command) => {
    expect(await cli.run(command, '--dataset', 'custmers')).toBe(2);
    expect(cli.stderr.text).toContain('There is no dataset "custmers". Did you mean "customers"?');
    expect(await cli.run(command, '--dataset', 'customers')).toBe(0);
    // A dataset that was removed may still have jobs.
    api.tell(jobDetail({ dataset: 'custmers' }));
    expect(await cli.run(command, '--dataset', 'custmers')).toBe(0);
  });

  it('jobs says that no job is in the wanted state', async () => {
    await cli.run('jobs', '--dataset', 'customers', '--state', 'paused');
    expect(cli.stdout.text).toBe('No job of customers is paused.\n');
  });

  it('jobs says how to start one when there is none', async () => {
    expect(await cli.run('jobs')).toBe(0);
    expect(cli.stdout.text).toContain('sluice run <dataset>');
  });

  it('job shows a running one stage by stage', async () => {
    const stage = {
      batches: 1,
      bytes: 1,
      accepted: 0,
      refused: 0,
      skipped: 0,
      warnings: 0,
      totalBytes: null,
    };
    const known = { totalRecords: 1000, recordsPerSecond: 100, etaSeconds: 5, done: false };
    api.tell(
      jobDetail({
        state: 'running',
        startedAt: '2026-01-31T12:00:01.000Z',
        stages: [
          { ...stage, ...known, stage: 'ingest', records: 1000, done: true },
          { ...stage, ...known, stage: 'validate', records: 995 },
          { ...stage, ...known, stage: 'load', records: 250, totalRecords: null, etaSeconds: null },
        ],
      }),
    );
    expect(await cli.run('job', JOB_ID)).toBe(0);
    expect(cli.stdout.text).toMatchInlineSnapshot(`
     "Job 01998f3e-7c4a-7000-8000-3f5b8e2d9a10 (customers, replace) is running.
       ingest    [████████████████████████]  100 %        1,000 records
       validate  [███████████████████████░]   99 %          995 records  100/s  5.0 s left
       load      [░░░░░░░░░░░░░░░░░░░░░░░░]                 250 records  100/s
       finalize  [░░░░░░░░░░░░░░░░░░░░░░░░]
     To follow it, or to cancel it:
       npx sluice watch 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
       npx sluice cancel 01998f3e-7c4a-7000-8000-3f5b8e2d9a10

       source    /data/customers.csv
       limit     none
       created   2026-01-31 12:00:00 UTC
       started   2026-01-31 12:00:01 UTC
     "
    `);
  });

  it('an unknown job is reported with what to do', async () => {
    const UNKNOWN = '01998f3e-7c4a-7000-8000-000000000000';
    expect(await cli.run('job', UNKNOWN)).toBe(2);
    expect(cli.stderr.text).toContain(`error: There is no job ${UNKNOWN}. [JOB_UNKNOWN]`);
    expect(cli.stderr.text).toContain('to do: Choose one that `sluice jobs` lists.');
  });

  it('watch follows to the end and ends as the job does', async () => {
    api.tell(jobDetail({ state: 'running' }));
    const code = cli.run('watch', JOB_ID, '--json');
    await api.until(() => api.listeners === 1);
    api.tell(jobDetail({ state: 'cancelled', deadLetters: { known: 0, expected: 0, complete: true } }));
    expect(await code).toBe(6);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({ job: JOB_ID, state: 'cancelled' });
  });

  it('jobs says what a state alone does not', async () => {
    const problem = { code: 'BATCHES_MISSING', message: 'x', action: 'y', firstMissingBatch: 3 };
    api.tell(jobDetail({ id: ids[0], state: 'failed', resumable: true }));
    api.tell(jobDetail({ id: ids[1], state: 'failed' }));
    api.tell(jobDetail({ id: ids[2], state: 'running', problem }));
    api.tell(jobDetail({ id: ids[3], state: 'running', interrupted: true }));
    await cli.run('jobs');
    const states = cli.stdout.text
      .split('\n')
      .slice(1, -1)
      .map((line) => line.split(/ {2,}/)[3]);
    expect(states).toEqual(['failed (resumable)', 'failed', 'running (stuck)', 'interrupted']);
  });

  describe('job says why it stands still, and what to do', () => {
    const shown = async (facts: Partial<JobDetail>): Promise<string> => {
      api.tell(jobDetail(facts));
      expect(await cli.run('job', JOB_ID)).toBe(0);
      const [, steps = ''] = cli.stdout.text.split(/^ {2}finalize .*\n/m);
      return steps.split('\n\n')[0] ?? '';
    };
    const why = { code: 'X', message: 'It is so.', action: 'Do this.' };

    it('paused by the breaker: the most frequent reasons', async () => {
      const reasons = [
        { code: 'BAD_NUMBER', count: 12_000 },
        { code: 'BAD_DATE', count: 3 },
      ];
      const pauseDetail = { ...why, records: 20_000, refused: 12_003, reasons };
      expect(await shown({ state: 'paused', pauseReason: 'breaker', pauseDetail })).toMatchInlineSnapshot(`
       "It was paused (breaker): It is so. [X]
       The most frequent reasons:
         BAD_NUMBER                     12,000
         BAD_DATE                            3
       The refused records:
         npx sluice dead-letters --job 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
       To continue it, or to cancel it:
         npx sluice continue 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
         npx sluice cancel 01998f3e-7c4a-7000-8000-3f5b8e2d9a10"
      `);
    });

    it('paused by the schema, and by an operator', async () => {
      const schema = await shown({ state: 'paused', pauseReason: 'schema', pauseDetail: why });
      expect(schema).toMatchInlineSnapshot(`
       "It was paused (schema): It is so. [X]
       Fix the table or the grants first. To continue it, or to cancel it:
         npx sluice continue 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
         npx sluice cancel 01998f3e-7c4a-7000-8000-3f5b8e2d9a10"
      `);
      cli.stdout.text = '';
      expect(await shown({ state: 'paused', pauseReason: 'operator' })).toMatchInlineSnapshot(`
       "An operator paused it; it waits to be continued.
       To continue it, or to cancel it:
         npx sluice continue 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
         npx sluice cancel 01998f3e-7c4a-7000-8000-3f5b8e2d9a10"
      `);
    });

    it('stuck, and interrupted', async () => {
      const problem = { ...why, code: 'BATCHES_MISSING', firstMissingBatch: 3 };
      expect(await shown({ state: 'running', problem })).toMatchInlineSnapshot(`
       "It cannot continue by itself: It is so. [BATCHES_MISSING]
       To read its source again and publish what is missing, or to cancel it:
         npx sluice resume 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
         npx sluice cancel 01998f3e-7c4a-7000-8000-3f5b8e2d9a10"
      `);
      cli.stdout.text = '';
      expect(await shown({ state: 'running', interrupted: true })).toMatchInlineSnapshot(`
       "No ingestor reads its source at the moment. It continues by itself when one is back.
       To ask for that now, or to cancel it:
         npx sluice resume 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
         npx sluice cancel 01998f3e-7c4a-7000-8000-3f5b8e2d9a10"
      `);
    });

    it('failed and resumable, or not', async () => {
      const failed = {
        state: 'failed',
        error: why,
        deadLetters: { known: 0, expected: null, complete: true },
      } as const;
      api.tell(jobDetail({ ...failed, resumable: true }));
      await cli.run('job', JOB_ID);
      expect(cli.stdout.text).toContain('It had loaded nothing. To try again');
      cli.stdout.text = '';
      api.tell(jobDetail({ ...failed, resumable: true, stages: [stage({ stage: 'load', records: 7 })] }));
      await cli.run('job', JOB_ID);
      expect(cli.stdout.text).toContain(
        'What it had loaded is kept. To resume it, or to discard it:\n' +
          `  npx sluice resume ${JOB_ID}\n  npx sluice discard ${JOB_ID}\n`,
      );
      cli.stdout.text = '';
      api.tell(jobDetail(failed));
      await cli.run('job', JOB_ID);
      expect(cli.stdout.text).not.toContain('resume');
    });

    it('cancelled: what was dropped', async () => {
      const discarded = { loadedBatches: 1, loadedRecords: 500, pendingBatches: 0, pendingRecords: 0 };
      api.tell(jobDetail({ state: 'cancelled', discarded }));
      await cli.run('job', JOB_ID);
      expect(cli.stdout.text).toContain('Dropped: 1 batch (500 records) that were staged.\n');
    });
  });

  it('datasets lists modes, options and rows', async () => {
    api.datasets = [datasetView({ defaultSource: 'https://example.org/customers.csv' })];
    expect(await cli.run('datasets')).toBe(0);
    expect(cli.stdout.text).toMatchInlineSnapshot(`
     "customers: Customers of the shop
       format  csv
       modes   replace (default), append
       source  https://example.org/customers.csv
       option  checksum = warn (default) | off | reject
       table   customer, 0 rows
       table   customer_address, 0 rows
     "
    `);
  });
});
