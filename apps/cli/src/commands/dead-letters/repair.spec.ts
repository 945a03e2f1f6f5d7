import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ApiServer,
  JOB_ID,
  datasetView,
  deadLetter,
  deadLetterGroup,
  jobDetail,
} from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

const GROUP = deadLetterGroup();
const OTHER = deadLetterGroup({
  ...{
    id: '00000000-0000-0000-0000-7138b78e3300',
    code: 'MALFORMED_ROW',
    field: null,
    shape: '',
    example: null,
  },
  counts: { open: 1_204, resubmitted: 0, landed: 0, refusedAgain: 0, discarded: 7 },
});

describe('sluice dead-letters with an action', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [datasetView()];
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });
  afterEach(() => api.close());

  const posted = (): unknown[] => api.posted.map(({ body }) => body);
  const user = expect.any(String);

  describe('groups', () => {
    it('shows reasons and what the values look like, and cannot be made to steer the terminal', async () => {
      api.groups = [OTHER, deadLetterGroup({ shape: '\u001b[2J' })];
      api.ungrouped = 3;
      expect(await cli.run('dead-letters', 'groups')).toBe(0);
      expect(cli.stdout.text).toBe(
        'group      open  dataset    code           example      field   value looks like\n' +
          'b78e3300  1,204  customers  MALFORMED_ROW  –            –\n' +
          'b78e3309     12  customers  BAD_NUMBER     8e2d9a10:41  number  \\u001b[2J\n' +
          '3 dead letters of an older build have no group yet.\n' +
          'See the records of one: npx sluice dead-letters --group b78e3300\n',
      );
    });

    it('asks for what was named, shows N, and says when there are more', async () => {
      api.groups = [OTHER, GROUP, deadLetterGroup({ code: 'X' })];
      await cli.run('dead-letters', 'groups', '--dataset', 'customers', '--limit', '1');
      expect(cli.stdout.text).toContain('… and more.');
      expect(cli.stdout.text).not.toContain('b78e3309');
      expect(await cli.run('dead-letters', 'groups', '--code', 'X', '--json')).toBe(0);
      expect(cli.stdout.text.split('\n').at(-2)).toBe(
        JSON.stringify({ ok: true, groups: [deadLetterGroup({ code: 'X' })], more: false, ungrouped: 0 }),
      );
      expect(await cli.run('dead-letters', 'groups', '--state', 'landed')).toBe(0);
      expect(cli.stdout.text).toMatch(/No refused records are landed\.\n$/);
    });

    it('takes no ids', async () => {
      expect(await cli.run('dead-letters', 'groups', `${JOB_ID}:1`)).toBe(2);
    });
  });

  it('--group lists the dead letters of one, by a part of its id that only one has', async () => {
    api.groups = [GROUP, OTHER];
    api.letters = [deadLetter({ record: 1, group: GROUP.id }), deadLetter({ record: 2, group: OTHER.id })];
    expect(await cli.run('dead-letters', '--group', 'b78e3309')).toBe(0);
    expect(cli.stdout.text).toContain('record 1\n');
    expect(cli.stdout.text).not.toContain('record 2\n');
    expect(await cli.run('dead-letters', '--group', 'b78e3')).toBe(2);
    expect(cli.stderr.text).toContain('No group of dead letters');
    api.groups = [GROUP, OTHER, deadLetterGroup({ id: '89fac0d4-0000-0000-0000-000000000000' })];
    expect(await cli.run('dead-letters', '--group', '89fa')).toBe(2);
    expect(cli.stderr.text).toContain('More than one group');
    for (const given of ['89f', 'x', '']) expect(await cli.run('dead-letters', '--group', given)).toBe(2);
  });

  describe('show', () => {
    it('prints one whole, by a part of its job’s id', async () => {
      api.jobs.set(JOB_ID, jobDetail());
      const text = `7,${'x'.repeat(300)}`;
      api.letters = [
        deadLetter({
          record: 7,
          text,
          state: 'discarded',
          reason: 'test data',
          group: GROUP.id,
          predecessor: `${JOB_ID}:3`,
          successor: null,
        }),
      ];
      expect(await cli.run('dead-letters', 'show', '8e2d9a10:7')).toBe(0);
      expect(cli.stdout.text).toBe(
        `line 9 of job ${JOB_ID}, record 7\n` +
          '  BAD_NUMBER  number: must be 8 digits\n' +
          '  state     discarded: test data\n' +
          '  group     b78e3309\n' +
          `  before    ${JOB_ID}:3\n` +
          '  columns   number, name\n' +
          `\n${text}\n`,
      );
      expect(await cli.run('dead-letters', 'show', `${JOB_ID}:7`, '--json')).toBe(0);
      expect(JSON.parse(cli.stdout.text.split('\n').at(-2) ?? '')).toMatchObject({
        ok: true,
        state: 'discarded',
      });
    });

    it.each([[[]], [['1']], [['x:1']], [[`${JOB_ID}:1`, `${JOB_ID}:2`]], [[`${JOB_ID}:-1`]]])(
      'refuses %j',
      async (ids) => {
        expect(await cli.run('dead-letters', 'show', ...ids)).toBe(2);
        expect(api.posted).toEqual([]);
      },
    );
  });

  describe('discard', () => {
    it('takes ids, whole or short, without asking', async () => {
      api.jobs.set(JOB_ID, jobDetail());
      api.discarded = { action: GROUP.id, dryRun: false, discarded: 1, decided: 1, unknown: [`${JOB_ID}:9`] };
      expect(
        await cli.run(
          'dead-letters',
          'discard',
          '8e2d9a10:7',
          `${JOB_ID}:8`,
          `${JOB_ID}:9`,
          '--reason',
          'test data',
        ),
      ).toBe(0);
      expect(posted()).toEqual([
        { ids: [7, 8, 9].map((record) => `${JOB_ID}:${record}`), reason: 'test data', by: user },
      ]);
      expect(cli.stdout.text).toBe(
        '1 refused record is discarded.\n1 refused record had been decided about before.\n' +
          `No dead letter has the id ${JOB_ID}:9.\n`,
      );
    });

    it('asks before it discards a group or what fits a filter, with the number', async () => {
      api.groups = [GROUP];
      api.discarded = { action: null, dryRun: true, discarded: 12, decided: 0, unknown: [] };
      expect(await cli.run('dead-letters', 'discard', '--group', 'b78e3309', '--reason', 'x')).toBe(2);
      expect(cli.stderr.text).toContain('12 refused records would be discarded; confirm with --yes');
      const request = { group: GROUP.id, reason: 'x', by: user };
      expect(posted()).toEqual([{ ...request, dryRun: true }]);
      expect(await cli.run('dead-letters', 'discard', '--group', 'b78e3309', '--reason', 'x', '--yes')).toBe(
        0,
      );
      expect(posted().slice(1)).toEqual([request]);
      expect(cli.stdout.text).toBe('12 refused records are discarded.\n');
    });

    it('takes a filter, and only counts with --dry-run', async () => {
      api.discarded = { action: null, dryRun: true, discarded: 2, decided: 0, unknown: [] };
      const filter = ['--dataset', 'customers', '--code', 'BAD_NUMBER', '--job', JOB_ID];
      expect(
        await cli.run('dead-letters', 'discard', ...filter, '--reason', 'x', '--dry-run', '--json'),
      ).toBe(0);
      expect(posted()).toEqual([
        {
          filter: { dataset: 'customers', code: 'BAD_NUMBER', job: JOB_ID },
          reason: 'x',
          by: user,
          dryRun: true,
        },
      ]);
      expect(JSON.parse(cli.stdout.text)).toEqual({ ok: true, ...api.discarded });
    });

    it.each<[string[]]>([
      [[`${JOB_ID}:1`]],
      [['--reason', 'x']],
      [['--reason', 'x', `${JOB_ID}:1`, '--group', GROUP.id]],
      [['--reason', 'x', `${JOB_ID}:1`, '--code', 'BAD']],
      [['--reason', 'x', '--group', GROUP.id, '--code', 'BAD']],
      [['--reason', 'x', '--group', GROUP.id, '--state', 'landed']],
      [['--reason', 'x', '1']],
    ])('refuses %j, and changes nothing', async (options) => {
      expect(await cli.run('dead-letters', 'discard', ...options)).toBe(2);
      expect(api.posted).toEqual([]);
    });
  });
});
