import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ApiServer,
  datasetView,
  JOB_ID,
  jobDetail,
  problem,
} from '../../../../test/support/cli/api-server.js';
import { CliHarness } from '../../../../test/support/cli/cli-harness.js';

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
      'job                                   dataset    mode          state            read  loaded  refused        took  created (UTC)        source\n' +
        `${ids[0] ?? ''}  customers  replace, dry  paused (schema)     –       –        –  1 min 15 s  2026-01-31 12:00:00  /data/customers.csv\n`,
    );
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
     To follow it or to end it:
       npx sluice watch 01998f3e-7c4a-7000-8000-3f5b8e2d9a10
       npx sluice cancel 01998f3e-7c4a-7000-8000-3f5b8e2d9a10

       source    /data/customers.csv
       limit     none
       created   2026-01-31 12:00:00 UTC
       started   2026-01-31 12:00:01 UTC
     "
    `);
  });

  it('an unknown job is told with what to do', async () => {
    expect(await cli.run('job', 'x')).toBe(2);
    expect(cli.stderr.text).toContain('error: There is no job x. [JOB_UNKNOWN]');
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

  it('cancel asks the ingestor', async () => {
    api.tell(jobDetail({ state: 'running' }));
    expect(await cli.run('cancel', JOB_ID)).toBe(0);
    expect(api.posted.map(({ path }) => path)).toEqual([`/jobs/${JOB_ID}/cancel`]);
  });

  it('cancel says when it is too late', async () => {
    api.problem = problem({ status: 409, code: 'JOB_TRANSITION_REFUSED', detail: 'The job has succeeded.' });
    expect(await cli.run('cancel', JOB_ID)).toBe(1);
    expect(cli.stderr.text).toContain('The job has succeeded.');
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
