import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApiServer, JOB_ID, problem, streamView } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

const PAUSED = streamView({
  state: 'paused',
  reason: 'job',
  detail: {
    code: 'STREAM_JOB_STANDS',
    message: `Job ${JOB_ID} of the stream of customers is paused (breaker): \u001b[2Jx`,
    action: 'Look at it.',
    job: JOB_ID,
    reasons: [
      { code: 'REQUIRED', count: 1_200 },
      { code: 'TOO_LONG', count: 3 },
    ],
  },
});

describe('sluice streams and sluice stream', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });

  afterEach(() => api.close());

  it('adds up by the hour', async () => {
    api.hours = [
      {
        hour: '2026-01-31T12:00:00.000Z',
        jobs: 3_600,
        read: 72_000,
        loaded: 71_997,
        refused: 3,
        findings: { BAD_NUMBER: 2, REQUIRED: 1 },
      },
    ];
    expect(await cli.run('stream', 'customers', 'hours', '--last', '5')).toBe(0);
    expect(api.asked).toContain('/streams/customers/hours?last=5');
    expect(cli.stdout.text).toBe(
      'hour (UTC)            jobs    read  loaded  refused  findings\n' +
        '2026-01-31 12:00:00  3,600  72,000  71,997        3  BAD_NUMBER 2, REQUIRED 1\n',
    );
    cli.stdout.text = '';
    await cli.run('stream', 'customers', 'hours', '--json');
    expect(JSON.parse(cli.stdout.text)).toEqual(api.hours);
    expect(api.asked).toContain('/streams/customers/hours?last=24');
    api.hours = [];
    cli.stdout.text = '';
    await cli.run('stream', 'customers', 'hours');
    expect(cli.stdout.text).toBe('No job of the stream of customers has succeeded in these hours.\n');
  });

  it('lists each stream in a line, with what is not known said so', async () => {
    api.streamViews = [
      streamView(),
      streamView({ dataset: 'orders', lagRecords: null, lagSeconds: null, recordsPerSecond: 0 }),
      { ...PAUSED, dataset: 'parcels' },
    ];
    expect(await cli.run('streams')).toBe(0);
    expect(cli.stdout.text).toBe(
      [
        'dataset    state             lag      age   rate  records  jobs',
        'customers  running             3    1.4 s  210/s   12,345     9',
        'orders     running       unknown  unknown      –   12,345     9',
        'parcels    paused (job)        3    1.4 s  210/s   12,345     9',
        '',
      ].join('\n'),
    );
    cli.stdout.text = '';
    await cli.run('streams', '--json');
    expect(JSON.parse(cli.stdout.text)).toEqual(api.streamViews);
  });

  it('says where to read about inboxes when no dataset has one', async () => {
    await cli.run('streams');
    expect(cli.stdout.text).toBe('No dataset declares an inbox; see docs/streams.md.\n');
  });

  it('shows one with its position, its lag and its last job', async () => {
    api.streamViews = [
      streamView({
        findings: { TOO_LONG: 3, REQUIRED: 12 },
        wait: {
          code: 'DATASET_HELD',
          message: 'Job x replaces the tables.',
          since: '2026-01-31T12:00:00.000Z',
        },
        lastJob: {
          id: JOB_ID,
          state: 'succeeded',
          createdAt: '2026-01-31T12:00:00.000Z',
          finishedAt: '2026-01-31T12:00:01.000Z',
          counts: { loaded: 1_990, refused: 10 } as never,
        },
      }),
    ];
    expect(await cli.run('stream', 'customers')).toBe(0);
    expect(cli.stdout.text).toBe(
      [
        'customers',
        '  state     running, waits since 2026-01-31 12:00:00 UTC',
        '  waits     Job x replaces the tables. [DATASET_HELD]',
        '  lag       3 records, the oldest 1.4 s old',
        '  rate      210/s',
        '  taken     12,345 records in 9 jobs',
        `  last job  ${JOB_ID} (succeeded, 1,990 loaded, 10 refused)`,
        '  in work   1 job',
        '  a job is  20,000 records, 4,194,304 bytes or 1,000 ms',
        '  inbox     sluice.customers.inbox, 1 partition',
        '  findings  REQUIRED 12, TOO_LONG 3',
        '  partitions: next offset of those that the inbox holds',
        '      0  17 of 0 to 20',
        '',
      ].join('\n'),
    );
  });

  it('shows why one is paused and what to do, which cannot steer the terminal', async () => {
    api.streamViews = [PAUSED];
    await cli.run('stream', 'customers', 'status');
    expect(cli.stdout.text.split('\n').slice(-6)).toEqual([
      '      0  17 of 0 to 20',
      `customers is paused (job): Job ${JOB_ID} of the stream of customers is paused (breaker): \\u001b[2Jx [STREAM_JOB_STANDS]`,
      '  most frequent: REQUIRED 1,200, TOO_LONG 3',
      '  to do: Look at it.',
      `  npx sluice job ${JOB_ID}`,
      '',
    ]);
  });

  it.each([
    [['start', '--max-ms', '200', '--max-records', '5'], 'start', { maxMs: 200, maxRecords: 5 }, 'running'],
    [['start'], 'start', {}, 'running'],
    [['pause'], 'pause', {}, 'paused'],
    [['resume'], 'resume', {}, 'running'],
    [['resume', '--skip-lost'], 'resume', { skipLost: true }, 'running'],
    [['drain', '--detach'], 'drain', {}, 'draining'],
  ])('sends %j to the ingestor', async (args, command, body, state) => {
    expect(await cli.run('stream', 'customers', ...args)).toBe(0);
    expect(api.posted).toMatchObject([{ path: `/streams/customers/${command}`, body }]);
    expect(cli.stdout.text).toBe(`The stream of customers is ${state}.\n`);
    cli.stdout.text = '';
    await cli.run('stream', 'customers', ...args, '--json');
    expect(JSON.parse(cli.stdout.text)).toEqual({ ok: true, dataset: 'customers', state });
  });

  it('follows a drain to its end', async () => {
    api.streamViews = [
      streamView({ state: 'draining' }),
      streamView({ state: 'draining', lagRecords: 0 }),
      streamView({ state: 'stopped', lagRecords: 0 }),
    ];
    expect(await cli.run('stream', 'customers', 'drain')).toBe(0);
    expect(cli.stdout.text).toBe('The stream of customers is drained and stopped.\n');
    expect(api.asked.filter((path) => path === '/streams/customers')).toHaveLength(3);
  });

  it('ends with 9 when the stream is paused while it drains, and says why', async () => {
    api.streamViews = [streamView({ state: 'draining' }), PAUSED];
    expect(await cli.run('stream', 'customers', 'drain', '--json')).toBe(9);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({
      ...{ ok: false, state: 'paused', error: { code: 'STREAM_JOB_STANDS' } },
    });
    expect(cli.stderr.text).toContain('most frequent: REQUIRED 1,200');
  });

  it('detaches from a drain at Ctrl-C', async () => {
    api.streamViews = [streamView({ state: 'draining' })];
    const ended = cli.run('stream', 'customers', 'drain');
    await api.until(() => api.asked.length > 1);
    cli.pressCtrlC();
    expect(await ended).toBe(130);
    expect(cli.stderr.text).toContain('continues to drain');
  });

  it('passes on what the ingestor refuses', async () => {
    api.problem = problem({ status: 409, code: 'NO_INBOX', detail: 'Dataset customers has no inbox.' });
    expect(await cli.run('stream', 'customers', 'start')).toBe(1);
    expect(cli.stderr.text).toContain('Dataset customers has no inbox.');
    expect(await cli.run('stream', 'customers', 'fly')).toBe(2);
  });
});
