import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JobDetail } from '#api/jobs.js';
import { loadRegistry } from '#core/registry/registry.js';
import type { LocalState } from '#local/local-system.js';
import {
  ApiServer,
  datasetView,
  deadLetter,
  JOB_ID,
  jobDetail,
  streamView,
} from '#test/support/cli/api-server.js';
import { proposed } from '#test/support/proposed-dataset.js';
import { CliHarness, LOCAL_STATE, noLocalSystem } from '#test/support/cli/cli-harness.js';

const FIXTURES = fileURLToPath(new URL('../../../../../test/fixtures/datasets', import.meta.url));
const [entry] = (await loadRegistry([FIXTURES])).entries();
const name = entry?.name ?? '';

describe('sluice demo', () => {
  let api: ApiServer;
  let cli: CliHarness;
  /** What was asked of the local system, in order. */
  let calls: string[];
  let running: LocalState | undefined;

  const succeeded = (facts: Partial<JobDetail> = {}): JobDetail =>
    jobDetail({ state: 'succeeded', deadLetters: { known: 0, expected: 0, complete: true }, ...facts });

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [datasetView({ name })];
    api.newJob = succeeded();
    cli = new CliHarness();
    cli.environment = { SLUICE_DATASET_PATHS: FIXTURES };
    calls = [];
    running = undefined;
    cli.local = noLocalSystem({
      state: () => Promise.resolve(running),
      up: ({ say }) => {
        calls.push('up');
        say('starting Kafka');
        running = { ...LOCAL_STATE, ingestorUrl: api.url, trackerUrl: api.url };
        return Promise.resolve(running);
      },
      down: () => {
        calls.push('down');
        running = undefined;
        return Promise.resolve(true);
      },
    });
  });

  afterEach(async () => {
    await api.close();
    expect(readdirSync(tmpdir()).filter((each) => each.startsWith(`sluice-demo-${process.pid}-`))).toEqual(
      [],
    );
  });

  const demo = (...args: string[]): Promise<number> =>
    cli.run('demo', '--rows', '100', '--dataset', name, ...args);

  it('starts everything, loads a generated file over HTTP, reports, shows refused records, stops everything', async () => {
    api.letters = ['A', 'A', 'B', 'C', 'D'].map((code, record) => deadLetter({ record, codes: [code] }));
    expect(await demo()).toBe(0);
    expect(calls).toEqual(['up', 'down']);
    expect(api.posted[0]?.body).toMatchObject({
      dataset: name,
      source: expect.stringContaining('http://127.0.0.1:'),
    });
    expect(cli.stderr.text).toContain(
      'starting Kafka\nmaking a file of 100 records, 0.2 % of them with a defect\n',
    );
    expect(cli.stdout.text).toContain('succeeded');
    expect(cli.stdout.text).toContain('3 of the refused records:');
    expect([...cli.stdout.text.matchAll(/record (\d)$/gm)].map(([, record]) => record)).toEqual([
      '0',
      '2',
      '3',
    ]);
  });

  it('DM1: --keep leaves the system running, and prints where it is', async () => {
    expect(await demo('--keep')).toBe(0);
    expect(calls).toEqual(['up']);
    expect(cli.stdout.text).toContain(`tracker   ${api.url}`);
  });

  it('DM1: leaves a system running that ran before', async () => {
    running = { ...LOCAL_STATE, ingestorUrl: api.url, trackerUrl: api.url };
    expect(await demo()).toBe(0);
    expect(calls).toEqual(['up']);
  });

  it('DM1: stops everything after a failed job, even with --keep', async () => {
    api.newJob = succeeded({ state: 'failed' });
    expect(await demo('--keep')).toBe(1);
    expect(calls).toEqual(['up', 'down']);
  });

  it('DM1: stops what has been started when starting fails', async () => {
    const { up } = cli.local;
    cli.local = noLocalSystem({
      ...cli.local,
      up: (options) => up(options).then(() => Promise.reject(new Error('no'))),
    });
    expect(await demo()).toBe(1);
    expect(calls).toEqual(['up', 'down']);
  });

  it('DM1: Ctrl-C cancels the job, whose source goes away, and stops everything', async () => {
    api.newJob = jobDetail({ state: 'running' });
    const code = demo('--keep');
    await api.until(() => api.listeners === 1);
    cli.pressCtrlC();
    expect(await code).toBe(130);
    expect(api.posted.map(({ path }) => path)).toEqual(['/jobs', `/jobs/${JOB_ID}/cancel`]);
    expect(calls).toEqual(['up', 'down']);
  });

  describe('DM2: where rows are already', () => {
    beforeEach(() => {
      api.datasets = [datasetView({ name, tables: [{ table: 't', rows: 5 }], writeModes: ['replace'] })];
    });

    const earlier = (source: string): void => {
      api.tell(succeeded({ id: JOB_ID.replace('01', '00'), dataset: name, source }));
    };

    it('replaces those of an earlier demo', async () => {
      earlier(`http://127.0.0.1:5/sluice-demo/${name}`);
      expect(await demo()).toBe(0);
    });

    it('does not replace any other without a "yes"', async () => {
      earlier('https://example.org/customers.csv');
      expect(await demo()).toBe(2);
      expect(cli.stderr.text).toContain('Pass --yes');
      expect(api.posted).toEqual([]);
      expect(calls).toEqual(['up', 'down']);
    });
  });

  it.each([
    [streamView({ state: 'paused' }), 'is paused'],
    [streamView({ state: 'stopped', lagRecords: 3 }), 'has 3 records waiting in its inbox'],
    [streamView({ state: 'stopped', lagRecords: null }), 'has an inbox that cannot be looked at now'],
  ])('DI1: leaves a stream alone that an operator uses: %#', async (view, reason) => {
    api.streamViews = [view];
    expect(await demo()).toBe(0);
    expect(cli.stderr.text).toContain(
      `the stream of ${name} ${reason}: the demo leaves it alone, and ends here`,
    );
    expect(api.posted.map(({ path }) => path)).toEqual(['/jobs']);
  });

  it('a dataset without a generator gets one from its contract', async () => {
    const coverage = fileURLToPath(new URL('../../../../../coverage', import.meta.url));
    mkdirSync(coverage, { recursive: true });
    const folder = mkdtempSync(join(coverage, 'demo-'));
    try {
      mkdirSync(join(folder, 'parcels'));
      for (const [file, content] of Object.entries(proposed('id,name\n1,red\n', { name: 'parcels' }).files))
        writeFileSync(join(folder, 'parcels', file), content);
      cli.environment = { SLUICE_DATASET_PATHS: folder };
      api.datasets = [datasetView({ name: 'parcels' })];
      expect(await cli.run('demo', '--rows', '100', '--dataset', 'parcels')).toBe(0);
      expect(api.posted[0]?.body).toMatchObject({ dataset: 'parcels' });
      expect(cli.stderr.text).toContain('parcels declares no inbox, so the demo ends here');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('an unknown dataset is noticed before anything is started', async () => {
    expect(await cli.run('demo', '--dataset', 'x')).toBe(2);
    expect(calls).toEqual([]);
  });
});
