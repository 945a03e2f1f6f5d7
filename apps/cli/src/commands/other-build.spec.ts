import { appendFileSync, cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { datasetFingerprint } from '#core/registry/fingerprint.js';
import { ApiServer, datasetView } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { otherBuild } from './other-build.js';
import { checkoutFolder } from '#local/folders.js';

const DATASETS = join(checkoutFolder(), 'test/fixtures/datasets');
const [NAME = ''] = readdirSync(DATASETS);

describe('what runs and what lies in the checkout', () => {
  let api: ApiServer;
  let cli: CliHarness;
  beforeEach(async () => {
    api = await ApiServer.start();
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });
  afterEach(() => api.close());

  it.each([
    ['the same build', 'one', ['one', 'one'], 0],
    ['no build, as from the sources', null, ['one'], 0],
    ['services that do not say', 'one', [null, undefined], 0],
    ['another build', 'one', ['one', 'two'], 1],
  ])('of %s there is this to say', (_, own, running, sentences) => {
    expect(otherBuild(own, running)).toHaveLength(sentences);
  });

  it('run and datasets say that the tracker is of another build', async () => {
    cli.build = 'new';
    api.datasets = [datasetView({ build: 'old' })];
    await cli.run('datasets');
    expect(cli.stderr.text).toMatch(/of another build \(old\) than this checkout \(new\)/);
    cli.stderr.text = '';
    await cli.run('run', 'no-such-dataset');
    expect(cli.stderr.text).toMatch(/of another build/);
  });

  it('a dataset outside of the checkout is compared by its files, not by the build', async () => {
    cli.environment = { ...cli.environment, SLUICE_DATASET_PATHS: DATASETS };
    api.datasets = [datasetView({ name: NAME, fingerprint: datasetFingerprint(join(DATASETS, NAME)) })];
    await cli.run('datasets');
    expect(cli.stderr.text).toBe('');
    api.datasets = [datasetView({ name: NAME, fingerprint: 'older' })];
    await cli.run('datasets');
    expect(cli.stderr.text).toMatch(new RegExp(`another version of dataset ${NAME} .*restart`));
  });

  it('run of a dataset that the system has not loaded says to restart it, and posts nothing', async () => {
    cli.environment = { ...cli.environment, SLUICE_DATASET_PATHS: DATASETS };
    api.datasets = [datasetView()];
    expect(await cli.run('run', NAME)).not.toBe(0);
    expect(cli.stderr.text).toMatch(
      new RegExp(`does not know the dataset "${NAME}" of this checkout: .*npx sluice restart`),
    );
    expect(api.posted).toEqual([]);
  });

  it('the fingerprint changes with what judges, and not with what only tests it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-datasets-'));
    try {
      cpSync(join(DATASETS, NAME), folder, { recursive: true });
      const before = datasetFingerprint(folder);
      appendFileSync(join(folder, 'README.md'), 'more\n');
      expect(datasetFingerprint(folder)).toBe(before);
      appendFileSync(join(folder, 'contract.ts'), '// changed\n');
      const changed = datasetFingerprint(folder);
      expect(changed).not.toBe(before);
      appendFileSync(join(folder, 'new-kind.ts'), 'export {};\n');
      expect(datasetFingerprint(folder)).not.toBe(changed);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
