import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DeadLettersResubmitted } from '#api/dead-letters.js';
import { ApiServer, JOB_ID, datasetView, deadLetterGroup, jobDetail } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

const GROUP = deadLetterGroup();
const ANSWER: DeadLettersResubmitted = {
  ...{ action: GROUP.id, dryRun: false, resubmitted: 12, decided: 1, unknown: [`${JOB_ID}:9`] },
  jobs: [{ id: JOB_ID, dataset: 'customers', records: 12 }],
  notSent: [
    { reason: 'PARKED', message: 'it was submitted 3 times', count: 2, example: `${JOB_ID}:4` },
    { reason: '\u001b[2J', message: 'x', count: 1, example: `${JOB_ID}:5` },
  ],
};

describe('sluice dead-letters resubmit', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [datasetView()];
    api.groups = [GROUP];
    api.jobs.set(JOB_ID, jobDetail());
    api.resubmitted = ANSWER;
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });
  afterEach(() => api.close());

  const run = (...args: string[]): Promise<number> => cli.run('dead-letters', 'resubmit', ...args);
  const posted = (): unknown[] => api.posted.map(({ path, body }) => [path, body]);
  const by = expect.any(String);

  it('takes ids without asking, and says what was sent, what was not and why', async () => {
    expect(await run('8e2d9a10:7', `${JOB_ID}:9`, '--reason', 'rule fixed', '--force')).toBe(0);
    expect(posted()).toEqual([
      ['/resubmissions', { ids: [`${JOB_ID}:7`, `${JOB_ID}:9`], reason: 'rule fixed', force: true, by }],
    ]);
    expect(cli.stdout.text).toBe(
      '12 refused records are resubmitted.\n' +
        'Job 8e2d9a10 of customers loads 12 records: npx sluice watch 8e2d9a10\n' +
        `2 refused records are not sent [PARKED]: it was submitted 3 times, as ${JOB_ID}:4.\n` +
        `1 refused record is not sent [\\u001b[2J]: x, as ${JOB_ID}:5.\n` +
        '1 refused record had been decided about before.\n' +
        `No dead letter has the id ${JOB_ID}:9.\n`,
    );
  });

  it('asks before it sends a group or what fits a filter, with the number', async () => {
    expect(await run('--group', 'b78e3309')).toBe(2);
    expect(cli.stderr.text).toContain('12 refused records would be resubmitted; confirm with --yes');
    expect(await run('--dataset', 'customers', '--yes', '--json')).toBe(0);
    expect(posted()).toEqual([
      ['/resubmissions', { group: GROUP.id, dryRun: true, by }],
      ['/resubmissions', { filter: { dataset: 'customers' }, by }],
    ]);
    expect(JSON.parse(cli.stdout.text)).toEqual({ ok: true, ...ANSWER });
  });

  it('only counts with --dry-run, and says when nothing is open', async () => {
    expect(await run('--group', 'b78e3309', '--dry-run')).toBe(0);
    expect(cli.stdout.text).toMatch(
      /^12 refused records would be resubmitted\.\n2 refused records would not be sent/,
    );
    api.resubmitted = { ...ANSWER, resubmitted: 0, jobs: [], notSent: [], decided: 0, unknown: [] };
    expect(await run(`${JOB_ID}:1`)).toBe(0);
    expect(cli.stdout.text).toMatch(/0 refused records are resubmitted\.\nNo such record is open\.\n$/);
  });

  it('waits for the repair job with --wait, reports it, and ends as the job does', async () => {
    const deadLetters = { known: 0, expected: 0, complete: true };
    api.jobs.set(JOB_ID, jobDetail({ state: 'succeeded', deadLetters }));
    expect(await run(`${JOB_ID}:1`, '--wait', '--json')).toBe(0);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({
      ok: true,
      resubmitted: 12,
      ended: [{ job: JOB_ID }],
    });
    api.jobs.set(JOB_ID, jobDetail({ state: 'cancelled', deadLetters }));
    expect(await run(`${JOB_ID}:1`, '--wait')).toBe(6);
  });

  it('names the dead letters in one way', async () => {
    expect(await run()).toBe(2);
    expect(await run(`${JOB_ID}:1`, '--code', 'X')).toBe(2);
    expect(posted()).toEqual([]);
  });
});
