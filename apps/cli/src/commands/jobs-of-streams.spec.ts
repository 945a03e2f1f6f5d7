import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApiServer, JOB_ID, datasetView, jobDetail, streamView } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

describe('jobs of streams in lists', () => {
  let api: ApiServer;
  let cli: CliHarness;
  const ids = ['a', 'b', 'c', 'd'].map((end) => JOB_ID.slice(0, -1) + end);

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [datasetView(), datasetView({ name: 'orders' })];
    api.streamViews = [streamView(), streamView({ dataset: 'orders', jobs: 0 })];
    api.tell(jobDetail({ id: ids[0], state: 'succeeded' }));
    api.tell(jobDetail({ id: ids[1], state: 'succeeded', stream: 'customers' }));
    api.tell(jobDetail({ id: ids[2], state: 'failed', resumable: true, stream: 'customers' }));
    api.tell(jobDetail({ id: ids[3], state: 'running', stream: 'customers' }));
    renew();
  });

  afterEach(() => api.close());

  function renew(): void {
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  }

  async function listed(...args: string[]): Promise<(string | undefined)[]> {
    renew();
    expect(await cli.run('jobs', ...args, '--json')).toBe(0);
    return (JSON.parse(cli.stdout.text) as { id: string }[]).map(({ id }) => id);
  }

  it('a stream is one line, and of its jobs stand there only those that are paused or have failed', async () => {
    expect(await listed()).toEqual([ids[0], ids[2]]);
    expect(await listed('--all')).toEqual(ids);
    expect(await listed('--stream', 'customers')).toEqual(ids.slice(1));
    expect(await listed('--stream', 'orders')).toEqual([]);
    renew();
    expect(await cli.run('jobs')).toBe(0);
    const lines = cli.stdout.text.trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[4]).toBe(
      'The stream of customers is running: 9 jobs, 12,345 records. List them: npx sluice jobs --stream customers',
    );
    renew();
    await cli.run('jobs', '--dataset', 'orders');
    expect(cli.stdout.text).toBe('No jobs yet. Start one by: npx sluice run orders\n');
    renew();
    await cli.run('jobs', '--stream', 'orders');
    expect(cli.stdout.text).toBe('The stream of orders has no job.\n');
  });

  it('the list stands where streams cannot be asked for', async () => {
    cli.environment = { SLUICE_INGESTOR_URL: 'http://127.0.0.1:1', SLUICE_TRACKER_URL: api.url };
    expect(await cli.run('jobs')).toBe(0);
    expect(cli.stdout.text.trimEnd().split('\n')).toHaveLength(3);
    expect(cli.stderr.text).toMatch(/^Jobs of streams are left out: /);
  });

  it('no command means one of them by itself, except one that stands', async () => {
    api.tell(jobDetail({ id: ids[0], state: 'running' }));
    expect(await cli.run('job', '--json')).toBe(0);
    expect(cli.stderr.text).toContain(`Using job ${ids[0] ?? ''}`);
    renew();
    expect(await cli.run('job', 'last', '--json')).toBe(0);
    expect(cli.stderr.text).toContain(`Using job ${ids[0] ?? ''}`);
    renew();
    expect(await cli.run('job', ids[1]?.slice(-6) ?? '', '--json')).toBe(0);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({ id: ids[1] });
    renew();
    expect(await cli.run('resume', '--detach')).toBe(0);
    expect(api.posted.at(-1)?.path).toBe(`/jobs/${ids[2] ?? ''}/resume`);
  });
});
