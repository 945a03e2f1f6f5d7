import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { datasetChecks } from '#core/conformance/dataset-problems.js';
import { readFixtures } from '#core/conformance/fixtures.js';
import { describeDataset } from '#core/derive/describe.js';
import { type DatasetRegistry, type RegisteredDataset, loadRegistry } from '#core/registry/registry.js';

/**
 * What every dataset folder must be: the folders are read from disk, no list names them. The checks are
 * those of `sluice dataset test`, which asks them of a folder anywhere; `docs/add-a-dataset.md` says the same in prose.
 */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const OWN = fileURLToPath(new URL('.', import.meta.url));
const OTHERS = join(ROOT, 'test/fixtures/datasets');

async function foldersBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(root, name));
}

const folders = [...(await foldersBelow(OWN)), ...(await foldersBelow(OTHERS))];
/** Those that bring everything; one that `sluice new dataset` wrote is asked what it has (`datasetChecks`). */
const whole = folders.filter((folder) => existsSync(join(folder, 'fixtures')));

let registry: DatasetRegistry;

beforeAll(async () => {
  registry = await loadRegistry([OTHERS]);
});

it('the registry holds the folders that are on disk, and only those', () => {
  expect(
    registry
      .entries()
      .map(({ folder }) => folder)
      .sort(),
  ).toEqual(folders.toSorted());
  expect(folders.length).toBeGreaterThanOrEqual(2);
});

it.each(folders.map((folder) => [relative(ROOT, folder), folder] as const))(
  '%s: `sluice dataset test` finds nothing',
  async (_name, folder) => {
    const found = registry.entries().find((one) => one.folder === folder);
    if (!found) throw new TypeError(`${folder} is not in the registry.`);
    for (const { name, problems } of await datasetChecks(found)) expect([name, ...problems]).toEqual([name]);
  },
);

describe.each(whole.map((folder) => ({ name: relative(ROOT, folder), folder })))('$name', ({ folder }) => {
  let entry: RegisteredDataset;

  beforeAll(() => {
    const found = registry.entries().find((one) => one.folder === folder);
    if (!found) throw new TypeError(`${folder} is not in the registry.`);
    entry = found;
  });

  it('has a record among its fixtures for each finding of its contract', async () => {
    const { clean } = await readFixtures(entry.dataset, folder);
    const codes = describeDataset(entry.dataset).findings.map(({ code }) => code);
    expect(codes.filter((code) => !Object.hasOwn(clean.findings, code))).toEqual([]);
  });
});

describe('no stage knows a dataset', () => {
  const rooms = ['apps', 'libs/common/src', 'libs/core/src'];

  it.each(rooms)('%s names none of them, nor their tables', async (room) => {
    const words = registry
      .entries()
      .filter(({ folder }) => whole.includes(folder))
      .flatMap(({ name, tables }) => [name, ...tables]);
    const found: string[] = [];
    for (const file of await readdir(join(ROOT, room), { recursive: true })) {
      if (!file.endsWith('.ts') || file.endsWith('spec.ts')) continue;
      const source = (await readFile(join(ROOT, room, file))).toString();
      found.push(...words.filter((word) => source.includes(word)).map((word) => `${room}/${file}: ${word}`));
    }
    expect(found).toEqual([]);
  });
});
