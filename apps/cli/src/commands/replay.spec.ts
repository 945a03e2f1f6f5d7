import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ReplayAccepted, ReplayView } from '#api/replays.js';
import { ApiServer, JOB_ID, jobDetail, problem } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

const ID = '01998f3e-7c4a-7000-8000-aaaabbbbcccc';
const ACCEPTED: ReplayAccepted = {
  ...{ id: ID, dataset: 'customers', covers: { jobs: 14, batches: 84, records: 560_112 } },
  deleted: { jobs: 0, batches: 0, records: 0, offsets: 0 },
  leftOut: [],
};

function viewOf(facts: Partial<ReplayView> = {}): ReplayView {
  return {
    ...{ id: ID, dataset: 'customers', state: 'succeeded', selection: { job: JOB_ID }, only: 'all' },
    ...{ mode: null, atOnce: 4, covers: ACCEPTED.covers, deleted: ACCEPTED.deleted, leftOut: [], wait: null },
    ...{ by: 'anna', createdAt: '2026-01-31T12:00:00.000Z', finishedAt: '2026-01-31T12:01:00.000Z' },
    jobs: { waiting: 0, active: 0, succeeded: 14, failed: 0, cancelled: 0 },
    counts: { read: 560_112, refused: 2, inserted: 5, updated: 7, unchanged: 9, deleted: 0, superseded: 1 },
    changed: true,
    ...facts,
  };
}

const RUNNING = viewOf({
  ...{ state: 'running', finishedAt: null },
  jobs: { waiting: 10, active: 2, succeeded: 2, failed: 0, cancelled: 0 },
});

describe('sluice replay and sluice replays', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [{ name: 'customers' } as never];
    api.newReplay = ACCEPTED;
    api.replayViews = [viewOf()];
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });

  afterEach(() => api.close());

  it('shows what a replay would cover, what is deleted and what is left out, and begins none', async () => {
    api.newReplay = {
      ...ACCEPTED,
      covers: { jobs: 1, batches: 1, records: 7 },
      deleted: { jobs: 3, batches: 14, records: 92_072, offsets: 2 },
      leftOut: [
        { reason: 'active', jobs: 1, example: JOB_ID },
        { reason: 'replay', jobs: 15, example: ID },
      ],
    };
    expect(await cli.run('replay', 'customers', '--job', JOB_ID, '--dry-run')).toBe(0);
    expect(cli.stdout.text).toBe(
      [
        'The replay covers 1 job of customers: 1 batch, 7 records.',
        'Deleted from the raw topic, and not covered: 14 batches with 92,072 records of 3 jobs; 2 offsets.',
        `Left out: 1 job active (${JOB_ID}).`,
        `Left out: 15 jobs themselves jobs of a replay (one is ${ID}).`,
        '',
      ].join('\n'),
    );
    expect(api.posted.map(({ body }) => body)).toMatchObject([
      { dataset: 'customers', job: JOB_ID, dryRun: true },
    ]);
  });

  it.each<[string[], object]>([
    [['--from', '2026-11-22T00:00:00Z'], { from: '2026-11-22T00:00:00.000Z' }],
    [
      ['--from', '2026-11-22T00:00:00+02:00', '--to', '2026-11-29T00:00:00Z'],
      { from: '2026-11-21T22:00:00.000Z', to: '2026-11-29T00:00:00.000Z' },
    ],
    [
      ['--offsets', '0:120-180,1:118-175'],
      {
        offsets: [
          { partition: 0, from: 120, to: 180 },
          { partition: 1, from: 118, to: 175 },
        ],
      },
    ],
    [
      ['--job', JOB_ID, '--only', 'refused', '--mode', 'upsert', '--at-once', '2'],
      { job: JOB_ID, only: 'refused', mode: 'upsert', atOnce: 2 },
    ],
  ])('sends %j', async (args, body) => {
    expect(await cli.run('replay', 'customers', ...args, '--yes', '--detach')).toBe(0);
    expect(api.posted).toHaveLength(1);
    expect(api.posted).toMatchObject([{ path: '/replays', body: { dataset: 'customers', ...body } }]);
  });

  it('asks with what it covers, and follows it to its end', async () => {
    cli.onTerminal();
    api.replayViews = [RUNNING, RUNNING, viewOf()];
    const run = cli.run('replay', 'customers', '--job', JOB_ID);
    await cli.stderr.until('Type "yes"');
    cli.stdin.write('yes\n');
    expect(await run).toBe(0);
    expect(cli.stderr.text).toContain('The replay covers 14 jobs of customers');
    expect(cli.stderr.text).toContain('2 of 14 jobs have succeeded\n');
    expect(cli.stdout.text).toContain(`Replay ${ID} of customers is succeeded.\n`);
    expect(api.posted.map(({ body }) => (body as { dryRun?: boolean }).dryRun)).toEqual([true, undefined]);
  });

  it('begins nothing without a terminal and --yes', async () => {
    expect(await cli.run('replay', 'customers', '--job', JOB_ID)).toBe(2);
    expect(cli.stderr.text).toContain('Confirm with --yes');
    expect(api.posted).toHaveLength(1);
  });

  it.each<[Partial<ReplayView>, number, string]>([
    [{ state: 'failed' }, 1, 'is failed'],
    [{ state: 'cancelled' }, 6, 'is cancelled'],
    [
      {
        state: 'running',
        wait: {
          code: 'REPLAY_JOB_STANDS',
          message: 'Job x is paused.',
          since: '2026-01-31T12:00:00Z',
          job: JOB_ID,
        },
      },
      9,
      `Job x is paused. [REPLAY_JOB_STANDS]\n  npx sluice job ${JOB_ID}`,
    ],
    [{ changed: false }, 0, 'It changed nothing'],
  ])('ends as the replay does: %j with code %i', async (facts, code, text) => {
    api.replayViews = [viewOf(facts)];
    expect(await cli.run('replay', 'customers', '--job', JOB_ID, '--yes')).toBe(code);
    expect(cli.stdout.text).toContain(text);
    cli.stdout.text = '';
    expect(await cli.run('replay', 'customers', '--job', JOB_ID, '--yes', '--json')).toBe(code);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({ ok: code === 0, id: ID });
  });

  it('detaches on Ctrl-C', async () => {
    api.replayViews = [RUNNING];
    const run = cli.run('replay', 'customers', '--job', JOB_ID, '--yes');
    await cli.stderr.until('2 of 14');
    cli.pressCtrlC();
    expect(await run).toBe(130);
    expect(cli.stderr.text).toContain(`npx sluice replay cancel ${ID}`);
  });

  it('shows one by a part of its id, with its jobs', async () => {
    api.replays = [viewOf()];
    const origin = '01998f3e-7c4a-7000-8000-3f5b8e2d9a11';
    api.replayJobs = [
      { position: 0, origin, batches: 6, records: 40, job: JOB_ID, state: 'succeeded', contractVersion: 2 },
      { position: 1, origin, batches: 6, records: 40, job: null, state: null, contractVersion: null },
    ];
    expect(await cli.run('replay', 'bbbbcccc')).toBe(0);
    expect(cli.stdout.text.split('\n').slice(-4)).toEqual([
      'origin    job       state      batches  records  contract',
      '8e2d9a11  8e2d9a10  succeeded        6       40         2',
      '8e2d9a11  –         waiting          6       40         –',
      '',
    ]);
  });

  it('cancels one', async () => {
    expect(await cli.run('replay', 'cancel', ID)).toBe(0);
    expect(api.posted.map(({ path }) => path)).toEqual([`/replays/${ID}/cancel`]);
  });

  it('lists them', async () => {
    api.replays = [viewOf({ state: 'running', wait: RUNNING.wait }), viewOf()];
    await cli.run('replays');
    expect(cli.stdout.text.split('\n').slice(0, 2)).toEqual([
      'replay    dataset    state          jobs  records  only  created',
      'bbbbcccc  customers  running    14 of 14  560,112  all   2026-01-31 12:00:00',
    ]);
    cli.stdout.text = '';
    await cli.run('replays', '--json', '--last', '1');
    expect(JSON.parse(cli.stdout.text)).toEqual([api.replays[0]]);
  });

  it.each([
    [['customers'], 'Say what of customers'],
    [['nothing-such'], 'is neither a dataset nor the id of a replay'],
    [['cancel'], 'Only `replay cancel <id>` takes two words'],
    [['customers', ID], 'Only `replay cancel <id>` takes two words'],
    [['customers', '--offsets', '0:1'], 'It must be written <partition>:<from>-<to>'],
    [['customers', '--from', 'yesterday'], 'It must be a day'],
    [['other', '--from', '2026-11-22'], 'There is no dataset "other"'],
  ])('%j is refused', async (args, text) => {
    expect(await cli.run('replay', ...args)).toBe(2);
    expect(cli.stderr.text).toContain(text);
    expect(api.posted).toEqual([]);
  });

  it('says what the ingestor refuses', async () => {
    api.problem = problem({ status: 409, code: 'REPLAY_EMPTY', detail: 'The selection covers nothing.' });
    expect(await cli.run('replay', 'customers', '--from', '2026-01-01', '--yes', '--json')).toBe(1);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({ ok: false, error: { code: 'REPLAY_EMPTY' } });
  });

  it('shows at a job which one it has loaded again, and by which contract', async () => {
    api.jobs.set(JOB_ID, jobDetail({ contractVersion: 2, originJob: JOB_ID, replay: ID }));
    await cli.run('job', JOB_ID);
    expect(cli.stdout.text).toContain(
      `  contract       version 2\n  loaded again   job ${JOB_ID}, by npx sluice replay ${ID}\n`,
    );
  });
});
