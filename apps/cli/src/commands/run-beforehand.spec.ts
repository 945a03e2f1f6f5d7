import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ApiServer, streamView } from '#test/support/cli/api-server.js';
import { type CliHarness, LOCAL_STATE, noLocalSystem } from '#test/support/cli/cli-harness.js';
import { filled, startRunSetting } from '#test/support/cli/run-fixtures.js';

describe('sluice run, before a job is there', () => {
  let api: ApiServer;
  let cli: CliHarness;
  let folder: string;

  beforeEach(async () => {
    ({ api, cli, folder } = await startRunSetting());
  });

  afterEach(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });

  describe('what is noticed before anything is posted', () => {
    afterEach(() => {
      expect(api.posted).toEqual([]);
    });

    it.each([
      ['a missing file', ['customers', '--source', 'custmers.csv'], 'There is no file'],
      [
        'a missing file URL',
        ['customers', '--source', 'file:///nowhere/x.csv'],
        'There is no file /nowhere/x.csv',
      ],
      [
        'a file URL with a relative path',
        ['customers', '--source', 'file:customers.csv'],
        'file:customers.csv is no address of a file here; use a plain path or file:///absolute/path.',
      ],
      ['a file URL of another host', ['customers', '--source', 'file://host/x.csv'], 'file:///absolute/path'],
      [
        'a file URL that hides a slash',
        ['customers', '--source', 'file:///a%2Fx.csv'],
        'file:///absolute/path',
      ],
      ['a file URL that is none', ['customers', '--source', 'file://['], 'file:///absolute/path'],
      ['a directory', ['customers', '--source', '.'], 'is a directory'],
      ['an empty source', ['customers', '--source', ' '], '--source is empty; name a URL or a file.'],
      ['no source', ['customers'], 'name one by --source'],
      ['an unknown dataset', ['custmers', '--source', 'customers.csv'], 'Did you mean "customers"?'],
      ['an unknown mode', ['customers', '--mode', 'replce'], 'Did you mean "replace"?'],
      [
        'a mode that the dataset has not',
        ['customers', '--mode', 'upsert'],
        'mode must be one of replace, append',
      ],
      [
        'an unknown option of the dataset',
        ['customers', '--option', 'cheksum=off'],
        'unknown option "cheksum"',
      ],
      ['a wrong value', ['customers', '--option', 'checksum=on'], 'must be one of warn, off, reject'],
      ['an option without a value', ['customers', '--option', 'checksum'], 'name=value'],
      ['an unknown flag', ['customers', '--limt', '3'], 'Did you mean --limit?'],
      ['a limit that is not a number', ['customers', '--limit', 'ten'], 'whole number'],
      ['a limit of nothing', ['customers', '--limit', '0'], 'whole number'],
      ['a share over 100 %', ['customers', '--max-refused', '101%'], 'from 0% to 100%'],
      ['--existing in another mode', ['customers', '--existing', 'fail'], '--existing is for append only'],
      ['an unknown word', ['customers', '--existing', 'ignore'], 'Allowed choices are supersede, fail'],
      ['no dataset', [], "missing required argument 'dataset'"],
    ])('%s', async (_what, args, text) => {
      expect(await cli.run('run', ...args)).toBe(2);
      expect(cli.stderr.text).toContain(text);
      expect(cli.stderr.text).toContain('to do:');
      expect(cli.stdout.text).toBe('');
    });
  });

  describe('before rows are replaced', () => {
    beforeEach(() => {
      api.datasets = [filled];
    });

    it('asks, showing what is there, and proceeds after "yes"', async () => {
      const code = cli.onTerminal().run('run', 'customers', '--source', 'customers.csv');
      await cli.stderr.until('Type "yes" to continue: ');
      expect(cli.stderr.text).toContain('  customer: 1,234,567 rows\n');
      expect(cli.stderr.text).not.toContain('customer_address');
      expect(api.posted).toEqual([]);
      cli.stdin.write('yes\n');
      expect(await code).toBe(0);
      expect(api.posted).toHaveLength(1);
    });

    it.each(['no\n', 'y\n', 'YES\n', '\n'])('changes nothing after %j', async (answer) => {
      const code = cli.onTerminal().run('run', 'customers', '--source', 'customers.csv');
      await cli.stderr.until('Type "yes"');
      cli.stdin.write(answer);
      expect(await code).toBe(6);
      expect(api.posted).toEqual([]);
    });

    it('changes nothing when the input ends', async () => {
      const code = cli.onTerminal().run('run', 'customers', '--source', 'customers.csv');
      await cli.stderr.until('Type "yes"');
      cli.stdin.end();
      expect(await code).toBe(6);
      expect(api.posted).toEqual([]);
    });

    it('changes nothing after Ctrl-C', async () => {
      const code = cli.onTerminal().run('run', 'customers', '--source', 'customers.csv');
      await cli.stderr.until('Type "yes"');
      cli.pressCtrlC();
      expect(await code).toBe(6);
      expect(api.posted).toEqual([]);
    });

    it('is a usage error without a terminal, and never waits', async () => {
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(2);
      expect(cli.stderr.text).toContain('Pass --yes');
      expect(cli.stderr.text).toContain('customer: 1,234,567 rows');
      expect(api.posted).toEqual([]);
    });

    it.each([
      ['--yes', ['--yes']],
      ['a dry run', ['--dry-run']],
      ['another mode', ['--mode', 'append']],
    ])('does not ask with %s', async (_what, args) => {
      expect(await cli.run('run', 'customers', '--source', 'customers.csv', ...args)).toBe(0);
      expect(api.posted).toHaveLength(1);
    });
  });

  describe('while a stream of the dataset is active', () => {
    beforeEach(() => {
      api.datasets = [filled];
      api.streamViews = [streamView({ state: 'paused' })];
    });

    it('warns that what it has merged is replaced, and how to stop it', async () => {
      expect(await cli.run('run', 'customers', '--source', 'customers.csv', '--yes')).toBe(0);
      expect(cli.stderr.text).toContain('warning: the stream of customers is paused.');
      expect(cli.stderr.text).toContain('sluice stream customers drain\n');
      expect(api.posted).toHaveLength(1);
    });

    it.each([
      ['a stream that is stopped', { state: 'stopped' } as const, ['--yes']],
      ['the stream of another dataset', { dataset: 'orders' } as const, ['--yes']],
      ['a merge', {}, ['--mode', 'append']],
      ['a dry run', {}, ['--dry-run']],
    ])('does not warn of %s', async (_what, facts, args) => {
      api.streamViews = [streamView(facts)];
      expect(await cli.run('run', 'customers', '--source', 'customers.csv', ...args)).toBe(0);
      expect(cli.stderr.text).not.toContain('warning: the stream');
    });
  });

  describe('the local token', () => {
    it('goes to the ingestor on this machine', async () => {
      writeFileSync(join(folder, 'token'), 'sesame\n');
      cli.environment = {};
      const state = {
        ...LOCAL_STATE,
        ingestorUrl: api.url,
        trackerUrl: api.url,
        tokenFile: join(folder, 'token'),
      };
      cli.local = noLocalSystem({ state: () => Promise.resolve(state) });
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(0);
      expect(api.posted[0]?.authorization).toBe('Bearer sesame');
    });

    it('goes to no other machine', async () => {
      writeFileSync(join(folder, 'token'), 'sesame\n');
      // A name that is not loopback by its looks, answered by this machine all the same.
      const url = api.url.replace('127.0.0.1', '0.0.0.0');
      cli.environment = {
        SLUICE_INGESTOR_URL: url,
        SLUICE_TRACKER_URL: api.url,
        SLUICE_LOCAL_TOKEN_FILE: join(folder, 'token'),
      };
      expect(await cli.run('run', 'customers', '--source', 'customers.csv')).toBe(0);
      expect(api.posted[0]?.authorization).toBeUndefined();
    });
  });

  it('Ctrl-C before the job is posted starts none', async () => {
    const code = cli.run('run', 'customers', '--source', 'customers.csv');
    await api.until(() => api.asked.includes('/datasets'));
    cli.pressCtrlC();
    expect(await code).toBe(130);
    expect(api.posted).toEqual([]);
  });
});
