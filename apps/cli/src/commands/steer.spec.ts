import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApiServer, JOB_ID, datasetView, jobDetail, problem } from '#test/support/cli/api-server.js';
import { stage } from '#test/support/cli/run-fixtures.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

const OLDER_ID = JOB_ID.replace(/.$/, '0');
const complete = { known: 0, expected: 0, complete: true };

describe('steering jobs', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [datasetView()];
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
    api.tell(jobDetail({ id: OLDER_ID, state: 'failed', resumable: true, deadLetters: complete }));
  });

  afterEach(() => api.close());

  const posted = (): unknown[] => api.posted.map(({ path, body }) => [path, body]);

  /** Runs a command that follows the job, and ends the job once it is followed. */
  async function followed(...args: string[]): Promise<number> {
    const code = cli.run(...args);
    await api.until(() => api.listeners === 1);
    api.tell(jobDetail({ state: 'succeeded', deadLetters: complete }));
    return code;
  }

  it('pause does not wait, and says how to continue the job', async () => {
    api.tell(jobDetail({ state: 'running' }));
    expect(await cli.run('pause', JOB_ID)).toBe(0);
    expect(posted()).toEqual([[`/jobs/${JOB_ID}/pause`, {}]]);
    expect(cli.stdout.text).toBe(
      `Job ${JOB_ID} is paused. To continue it:\n  npx sluice continue ${JOB_ID}\n`,
    );
  });

  it('continue follows the job to its end', async () => {
    api.tell(jobDetail({ state: 'paused', pauseReason: 'operator' }));
    expect(await followed('continue', JOB_ID)).toBe(0);
    expect(posted()).toEqual([[`/jobs/${JOB_ID}/continue`, {}]]);
    expect(cli.stderr.text).toContain(`Job ${JOB_ID} (customers) continues; it is running.\n`);
    expect(cli.stdout.text).toContain('succeeded');
  });

  it('continue and resume --detach only say that the job continues', async () => {
    api.tell(jobDetail({ state: 'paused', pauseReason: 'operator' }));
    expect(await cli.run('continue', JOB_ID, '--detach')).toBe(0);
    expect(await cli.run('resume', JOB_ID, '--detach', '--json')).toBe(0);
    expect(cli.stdout.text).toBe(
      `Job ${JOB_ID} (customers) continues; it is running.\n` +
        `{"ok":true,"id":"${JOB_ID}","dataset":"customers","state":"running"}\n`,
    );
    expect(api.listeners).toBe(0);
  });

  it('resume takes up the job that was named, with the limits that were raised', async () => {
    api.tell(jobDetail({ state: 'failed', resumable: true }));
    expect(await followed('resume', JOB_ID, '--max-refused', '10%', '--allow-shrink')).toBe(0);
    expect(posted()).toEqual([[`/jobs/${JOB_ID}/resume`, { maxRefusedShare: 0.1, allowShrink: true }]]);
  });

  it('resume without an id takes the only job that can be resumed, and says which', async () => {
    api.tell(jobDetail({ state: 'failed', resumable: true }));
    expect(await followed('resume', '--json')).toBe(0);
    expect(posted()).toEqual([[`/jobs/${JOB_ID}/resume`, {}]]);
    expect(cli.stderr.text).toContain(
      `Using job ${JOB_ID} (customers, failed), the only job that can be resumed.`,
    );
    expect(cli.stderr.text).toContain(`Job ${JOB_ID} (customers) continues`);
    expect(JSON.parse(cli.stdout.text)).toMatchObject({ job: JOB_ID, state: 'succeeded' });
  });

  it.each([
    ['nothing to resume', 'JOB_NOTHING_TO_RESUME', 8],
    ['a resumption that is refused', 'JOB_RESUME_REFUSED', 1],
    ['another job of the dataset that is active', 'JOB_ACTIVE', 5],
    ['an unknown job', 'JOB_UNKNOWN', 2],
  ])('%s ends with its own code', async (_what, code, exit) => {
    api.problem = problem({ status: 409, code, detail: 'No.' });
    expect(await cli.run('resume')).toBe(exit);
    expect(cli.stderr.text).toContain(`error: No. [${code}]`);
    expect(cli.stdout.text).toBe('');
  });

  it('cancel says what was dropped', async () => {
    api.tell(jobDetail({ state: 'running' }));
    expect(await cli.run('cancel', JOB_ID)).toBe(0);
    expect(posted()).toEqual([[`/jobs/${JOB_ID}/cancel`, {}]]);
    expect(cli.stdout.text).toBe(
      `Job ${JOB_ID} is cancelled; the tables stay as they were.\n` +
        'Dropped: 12 batches (50,000 records) that were staged, 4 batches (8,000 records) still under way.\n',
    );
  });

  it('cancel says when it is too late', async () => {
    api.problem = problem({ status: 409, code: 'JOB_TRANSITION_REFUSED', detail: 'The job has succeeded.' });
    expect(await cli.run('cancel', JOB_ID)).toBe(1);
    expect(cli.stderr.text).toContain('The job has succeeded.');
  });

  describe('discard', () => {
    it('asks, showing what would be lost, and proceeds after "yes"', async () => {
      const code = cli.onTerminal().run('discard', OLDER_ID);
      await cli.stderr.until('Type "yes" to continue: ');
      expect(cli.stderr.text).toContain('It had loaded nothing; it cannot be resumed afterwards.');
      expect(api.posted).toEqual([]);
      cli.stdin.write('yes\n');
      expect(await code).toBe(0);
      expect(posted()).toEqual([[`/jobs/${OLDER_ID}/discard`, {}]]);
    });

    it('says how many loaded records will be dropped, and nothing of what there is not', async () => {
      const stages = [stage({ stage: 'load', records: 1_500 })];
      api.tell(jobDetail({ id: OLDER_ID, state: 'failed', resumable: true, deadLetters: complete, stages }));
      expect(await cli.run('discard', OLDER_ID)).toBe(2);
      expect(cli.stderr.text).toContain(
        'The 1,500 records that it had loaded into staging will be dropped; it cannot be resumed afterwards.',
      );
    });

    it('changes nothing after any other answer', async () => {
      const code = cli.onTerminal().run('discard', OLDER_ID);
      await cli.stderr.until('Type "yes"');
      cli.stdin.write('y\n');
      expect(await code).toBe(6);
      expect(api.posted).toEqual([]);
    });

    it('is a usage error without a terminal, unless --yes is passed', async () => {
      expect(await cli.run('discard', OLDER_ID)).toBe(2);
      expect(cli.stderr.text).toContain('pass --yes');
      expect(api.posted).toEqual([]);
      expect(await cli.run('discard', OLDER_ID, '--yes', '--json')).toBe(0);
      expect(JSON.parse(cli.stdout.text)).toEqual({
        ok: true,
        id: OLDER_ID,
        dataset: 'customers',
        state: 'failed',
      });
    });
  });
});
