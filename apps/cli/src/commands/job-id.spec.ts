import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JobDetail } from '#api/jobs.js';
import { ApiServer, datasetView, deadLetter, jobDetail } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

/** Newest first, as the tracker lists them; the first two were accepted within a minute. */
const NEWEST = '01998f3e-7c4a-7000-8000-3f5b8e2d9a11';
const SECOND = '01998f3e-7c40-7000-8000-aaaa00000022';
const OLDEST = '01980000-0000-7000-8000-bbbb00000033';

describe('which job a command means', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [datasetView(), datasetView({ name: 'orders' })];
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });

  afterEach(() => api.close());

  function tell(newest: Partial<JobDetail> = {}, second: Partial<JobDetail> = {}): void {
    api.tell(jobDetail({ id: NEWEST, state: 'succeeded', ...newest }));
    api.tell(jobDetail({ id: SECOND, dataset: 'orders', state: 'succeeded', ...second }));
    api.tell(jobDetail({ id: OLDEST, dataset: 'orders', state: 'failed' }));
  }

  async function shown(...args: string[]): Promise<string> {
    cli.stdout.text = cli.stderr.text = '';
    expect(await cli.run('job', ...args, '--json')).toBe(0);
    return (JSON.parse(cli.stdout.text) as JobDetail).id;
  }

  it('a whole id, the beginning or the end of one, with hyphens or without, in either case', async () => {
    tell();
    expect(await shown(NEWEST)).toBe(NEWEST);
    expect(await shown('0198')).toBe(OLDEST);
    expect(await shown('01998f3e-7c40')).toBe(SECOND);
    expect(await shown('01998F3E7C40')).toBe(SECOND);
    expect(await shown('8e2d9a11')).toBe(NEWEST);
    expect(await shown('0033')).toBe(OLDEST);
  });

  it('ID1: a part that several ids have chooses none of them, and the candidates are named', async () => {
    tell({ state: 'running' }, { state: 'running' });
    for (const command of ['job', 'watch', 'pause', 'continue', 'resume', 'discard', 'cancel']) {
      cli.stderr.text = '';
      expect(await cli.run(command, '01998f3e')).toBe(2);
      expect(cli.stderr.text).toContain(
        'More than one job has an id that begins or ends with 01998f3e; name one of these: [USAGE_INVALID]\n' +
          `  ${NEWEST}  customers, running\n  ${SECOND}  orders, running\n`,
      );
    }
    expect(api.posted).toEqual([]);
    expect(await shown('01998f3e', '--dataset', 'orders')).toBe(SECOND);
  });

  it('names ten candidates at most, and says how many more there are', async () => {
    for (let i = 10; i < 22; i++) api.tell(jobDetail({ id: NEWEST.slice(0, -2) + String(i) }));
    expect(await cli.run('job', '0199')).toBe(2);
    expect(cli.stderr.text.match(/^\s*01998f3e/gm)).toHaveLength(10);
    expect(cli.stderr.text).toContain('and 2 more');
  });

  it('`last` is the newest job, or the newest of a dataset, and is named', async () => {
    tell();
    expect(await shown('last')).toBe(NEWEST);
    expect(cli.stderr.text).toBe(`Using job ${NEWEST} (customers, succeeded), the newest job.\n`);
    expect(await shown('last', '--dataset', 'orders')).toBe(SECOND);
    expect(cli.stderr.text).toBe(`Using job ${SECOND} (orders, succeeded), the newest job of orders.\n`);
  });

  it('dead-letters --job takes the same forms', async () => {
    tell();
    api.letters = [deadLetter({ job: NEWEST, record: 1 }), deadLetter({ job: OLDEST, record: 2 })];
    for (const [part, record] of [
      ['last', 1],
      ['0033', 2],
    ] as const) {
      cli.stdout.text = '';
      expect(await cli.run('dead-letters', '--job', part, '--json')).toBe(0);
      expect(JSON.parse(cli.stdout.text)).toMatchObject({ record });
    }
    expect(await cli.run('dead-letters', '--job', '0199')).toBe(2);
  });

  it('ID2: without any, the only job that fits the command, which is named', async () => {
    tell({ state: 'running' }, { state: 'paused' });
    expect(await cli.run('continue', '--detach')).toBe(0);
    expect(cli.stderr.text).toContain(`Using job ${SECOND} (orders, paused), the only job that is paused.`);
    tell({ state: 'running' });
    expect(await cli.run('pause')).toBe(0);
    expect(cli.stderr.text).toContain(
      `Using job ${NEWEST} (customers, running), the only job that is running.`,
    );
    expect(await cli.run('cancel')).toBe(0);
    expect(api.posted.map(({ path }) => path)).toEqual([
      `/jobs/${SECOND}/continue`,
      `/jobs/${NEWEST}/pause`,
      `/jobs/${NEWEST}/cancel`,
    ]);
  });

  it('without any, several jobs that fit are named, and none is touched', async () => {
    tell({ state: 'running' }, { state: 'paused' });
    expect(await cli.run('cancel')).toBe(2);
    expect(cli.stderr.text).toContain(
      `More than one job is active; name one of these: [USAGE_INVALID]\n  ${NEWEST}`,
    );
    expect(api.posted).toEqual([]);
    expect(await cli.run('cancel', '--dataset', 'orders')).toBe(0);
    expect(api.posted.map(({ path }) => path)).toEqual([`/jobs/${SECOND}/cancel`]);
  });

  it('resume never takes a job of another dataset', async () => {
    tell({ state: 'failed', resumable: true });
    expect(await cli.run('resume', '--dataset', 'orders')).toBe(8);
    expect(cli.stderr.text).toContain('No job of orders can be resumed. [JOB_NOTHING_TO_RESUME]');
    tell({ state: 'failed', resumable: true }, { state: 'failed', resumable: true });
    expect(await cli.run('resume')).toBe(2);
    expect(cli.stderr.text).toContain(
      `More than one job can be resumed; name one of these: [USAGE_INVALID]\n  ${NEWEST}`,
    );
    expect(api.posted).toEqual([]);
  });

  it.each([
    [['job'], 'No job is active. [JOB_UNKNOWN]'],
    [['job', 'last'], 'There is no job yet. Start one with `npx sluice run <dataset>`. [JOB_UNKNOWN]'],
    [['job', 'abcdef'], 'No job has an id that begins or ends with abcdef. [JOB_UNKNOWN]'],
    [['continue', 'x'], '"x" is no id of a job. Give a whole id (a UUID), at least four characters of its'],
    [['job', '123'], '"123" is no id of a job.'],
    [['job', 'a---'], '"a---" is no id of a job.'],
    [['watch', 'last', '--dataset', 'odrers'], 'There is no dataset "odrers". Did you mean "orders"?'],
  ])('%j: says what is wrong and what to do', async (args, text) => {
    expect(await cli.run(...args)).toBe(2);
    expect(cli.stderr.text).toContain(`error: ${text}`);
    expect(cli.stderr.text).toContain('  to do: ');
  });
});
