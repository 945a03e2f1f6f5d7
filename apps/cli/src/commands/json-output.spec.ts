import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JobDetail } from '#api/jobs.js';
import { JOB_ID, type ApiServer, deadLetter, jobDetail, problem } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { startRunSetting, succeeded } from '#test/support/cli/run-fixtures.js';
import { buildProgram } from './program.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/datasets', import.meta.url));
const RUN = ['run', 'customers', '--source', 'customers.csv', '--json'];
const PARKED = {
  topic: 'sluice.customers.raw',
  partition: 2,
  offset: '7',
  reason: 'unknown version',
  parkedAt: '2026-01-31T12:00:00.000Z',
  ...{ state: 'open' as const, decidedAt: null, note: null },
};
const PLACE = 'sluice.customers.raw/2/7';

interface Answer {
  readonly ok: boolean;
  readonly error?: { readonly code: string } | null;
}

describe('--json', () => {
  let api: ApiServer;
  let cli: CliHarness;
  let folder: string;

  beforeEach(async () => {
    ({ api, cli, folder } = await startRunSetting());
    cli.environment = { ...cli.environment, SLUICE_DATASET_PATHS: FIXTURES };
    api.parked = [PARKED];
  });

  afterEach(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });

  const answer = (): unknown => JSON.parse(cli.stdout.text);
  const error = { code: 'SOURCE_NOT_FOUND', message: 'It is not there.', action: 'Do this.' };

  it.each([
    [RUN],
    [['job', JOB_ID, '--json']],
    [['watch', JOB_ID, '--json']],
    [['pause', JOB_ID, '--json']],
    [['continue', JOB_ID, '--detach', '--json']],
    [['resume', JOB_ID, '--detach', '--json']],
    [['discard', JOB_ID, '--yes', '--json']],
    [['cancel', JOB_ID, '--json']],
    [['dead-letters', '--export', 'refused.csv', '--json']],
    [['parked', 'show', PLACE, '--json']],
    [['parked', 'show', PLACE, '--out', 'value', '--json']],
    [['parked', 'retry', PLACE, '--json']],
  ])('JE1: %j ends with 0 and prints one object with ok: true', async (args) => {
    api.tell(succeeded());
    expect(await cli.run(...args)).toBe(0);
    expect(answer()).toMatchObject({ ok: true });
    expect(cli.stdout.text.endsWith('}\n')).toBe(true);
  });

  it.each([['jobs'], ['datasets'], ['parked']])('JE3: %s prints an array, as before', async (command) => {
    api.tell(succeeded());
    expect(await cli.run(command, '--json')).toBe(0);
    expect(answer()).toHaveLength(1);
  });

  it('JE3: job keeps the error of a failed job, which is no error of the command', async () => {
    api.tell(succeeded({ state: 'failed', error }));
    expect(await cli.run('job', JOB_ID, '--json')).toBe(0);
    expect(answer()).toMatchObject({ ok: true, id: JOB_ID, error });
  });

  const withJson = buildProgram(new CliHarness().context(), () => undefined)
    .commands.filter(({ options }) => options.some(({ long }) => long === '--json'))
    .map((command) => command.name());

  it.each(withJson)(
    'JE2: %s prints why nothing could be done, and ends as without --json',
    async (command) => {
      cli.environment = { SLUICE_TRACKER_URL: 'no address', SLUICE_DATASET_PATHS: '/nowhere' };
      const args: Partial<Record<string, string[]>> = {
        run: ['customers', '--source', 'https://host/x'],
        check: ['x', 'customers.csv'],
        produce: ['x', 'customers.csv'],
        dataset: ['describe', 'x'],
        token: ['list'],
        trace: ['customers', '1'],
        audit: [],
        contexts: [],
      };
      const withoutId = [
        ...['run', 'check', 'jobs', 'datasets', 'dead-letters', 'parked', 'streams', 'replays', 'rebuild'],
      ];
      const id = withoutId.includes(command) ? [] : [JOB_ID];
      const rest = args[command] ?? id;
      const code = await cli.run(command, ...rest);
      expect(cli.stdout.text).toBe('');
      expect(await cli.run(command, ...rest, '--json')).toBe(code);
      expect(code).not.toBe(0);
      expect(answer()).toEqual({
        ok: false,
        error: {
          code: expect.stringMatching(/^[A-Z_]+$/),
          message: expect.stringContaining('SLUICE_'),
          todo: expect.any(String),
          retryable: false,
        },
      });
      expect(cli.stderr.text).toContain('error: ');
    },
  );

  it.each([
    [['jobs', '--sate', 'x', '--json'], 2, 'USAGE_INVALID', false],
    [['jobs', '--dataset', 'custmers', '--json'], 2, 'DATASET_UNKNOWN', false],
    [['cancel', '--json'], 2, 'JOB_UNKNOWN', false],
    [['resume', '--json'], 8, 'JOB_NOTHING_TO_RESUME', false],
    [['check', 'webshop-orders', 'missing', '--json'], 2, 'USAGE_INVALID', false],
  ])('JE2: %j', async (args, code, name, retryable) => {
    expect(await cli.run(...args)).toBe(code);
    expect(answer()).toMatchObject({ ok: false, error: { code: name, retryable } });
  });

  it('JE2: errors that may pass by themselves are marked as retryable, and an error names its place', async () => {
    const { SLUICE_TRACKER_URL: _, ...rest } = cli.environment;
    cli.environment = { ...rest, SLUICE_TRACKER_URL: 'http://127.0.0.1:1' };
    expect(await cli.run(...RUN)).toBe(4);
    expect(answer()).toMatchObject({ error: { code: 'SYSTEM_UNREACHABLE', retryable: true } });
    cli.environment = { ...rest, SLUICE_TRACKER_URL: api.url };
    cli.stdout.text = '';
    api.problem = problem({ status: 409, code: 'JOB_ACTIVE', detail: 'Active.', activeJob: JOB_ID });
    expect(await cli.run(...RUN)).toBe(5);
    expect(answer()).toMatchObject({ error: { code: 'JOB_ACTIVE', where: { job: JOB_ID } } });
  });

  const pause = { code: 'JOB_BREAKER', message: 'Too many.', action: 'Look.' };
  it.each<[string, number, Partial<JobDetail>, string]>([
    ['failed', 1, { state: 'failed', error }, 'SOURCE_NOT_FOUND'],
    ['failed by a newer service', 1, { state: 'failed', error: { ...error, code: 'X' } }, 'X'],
    ['failed for no known reason', 1, { state: 'failed' }, 'INTERNAL'],
    ['cancelled', 6, { state: 'cancelled' }, 'JOB_CANCELLED'],
    [
      'paused by the breaker',
      9,
      { state: 'paused', pauseReason: 'breaker', pauseDetail: pause },
      'JOB_BREAKER',
    ],
    ['paused by an operator', 9, { state: 'paused', pauseReason: 'operator' }, 'JOB_PAUSED'],
    ['stuck', 9, { state: 'running', problem: { ...pause, firstMissingBatch: 3 } }, 'JOB_BREAKER'],
  ])('JE2: a job that is %s', async (_what, code, facts, name) => {
    api.newJob = succeeded(facts);
    expect(await cli.run(...RUN)).toBe(code);
    expect(answer()).toMatchObject({
      ok: false,
      job: JOB_ID,
      error: { code: name, message: expect.any(String), todo: expect.any(String) },
    });
  });

  it('JE2: after Ctrl-C the job as it was last seen', async () => {
    api.newJob = jobDetail({ state: 'running' });
    const code = cli.run(...RUN);
    await api.until(() => api.listeners === 1);
    cli.pressCtrlC();
    expect(await code).toBe(130);
    expect(answer()).toMatchObject({ ok: false, job: JOB_ID, state: 'running', error: { code: 'DETACHED' } });
  });

  it('JE3: dead-letters that break off end with a line that says so', async () => {
    api.letters = [0, 1, 2].map((record) => deadLetter({ record }));
    const code = cli.run('dead-letters', '--json');
    await api.until(() => {
      api.isSilent ||= api.asked.some((path) => path.startsWith('/dead-letters'));
      return api.isSilent;
    });
    expect(await code).toBe(4);
    const lines = cli.stdout.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Partial<Answer>);
    expect(lines.map(({ ok }) => ok)).toEqual([undefined, undefined, false]);
    expect(lines.at(-1)?.error?.code).toBe('SYSTEM_UNREACHABLE');
  });

  describe('check', () => {
    const order = (no: string): string =>
      `{"orderNo":"${no}","placedAt":"2026-09-01T08:30:00Z","currency":"EUR","total":1}\n`;
    const checked = async (text: string): Promise<number> => {
      writeFileSync(join(folder, 'file'), text);
      return cli.run('check', 'webshop-orders', 'file', '--mode', 'append', '--json');
    };

    it.each([
      ['all accepted', order('1'), 0, { ok: true }],
      ['a repeat', order('1') + order('1'), 7, { ok: false, error: { code: 'CHECK_FAILED' } }],
      ['nothing accepted', '{}\n', 7, { ok: false, error: { code: 'JOB_NOTHING_LOADED' } }],
      ['another file', '<html></html>', 7, { ok: false, error: { code: 'SOURCE_REFUSED' } }],
    ])('JE1, JE2: %s', async (_what, text, code, expected) => {
      expect(await checked(text)).toBe(code);
      expect(answer()).toMatchObject({ dataset: 'webshop-orders', details: expect.any(Array), ...expected });
    });

    it('closes the object that it has begun when the file cannot be read', async () => {
      const file = join(folder, 'file');
      writeFileSync(file, order('1'));
      // The command looks at the clock between looking at the file and reading it.
      Object.defineProperty(cli, 'now', {
        get: () => {
          rmSync(file, { force: true });
          return 0;
        },
        set: () => undefined,
      });
      expect(await cli.run('check', 'webshop-orders', 'file', '--json')).not.toBe(0);
      expect(answer()).toMatchObject({ details: [], ok: false, error: { code: expect.any(String) } });
    });
  });
});
