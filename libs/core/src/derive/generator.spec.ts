import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { type JudgedFile, judgeWhole } from '../conformance/judge-file.js';
import type { Dataset } from '../dataset/dataset.js';
import { planContract } from '../record/compile/contract-plan.js';
import { derivedGenerator } from './generator.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

/** Their contracts, read from disk: no list names them. */
const folders = ['test/fixtures/contract-examples', 'test/fixtures/datasets', 'libs/datasets/src'].flatMap(
  (root) =>
    readdirSync(join(ROOT, root), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(root, name)),
);

async function datasetIn(folder: string): Promise<Dataset> {
  const module = (await import(pathToFileURL(join(ROOT, folder, 'dataset.ts')).href)) as { default: Dataset };
  return { ...module.default, name: module.default.name || 'example' };
}

/** Why there is no derived generator: what the message says. */
const NONE: Readonly<Record<string, string>> = {
  '08-nulls-and-trimming': 'code (a different one for each record)',
  '16-own-kinds-and-rules': 'share (one)',
  'tax-registration': 'ban (one)',
};

describe('derivedGenerator', () => {
  it.each(folders)('%s', async (folder) => {
    const dataset = await datasetIn(folder);
    const reason = NONE[basename(folder)];
    if (reason !== undefined) {
      const message = expect.stringContaining(
        `no value can be made up for ${reason}; give the dataset a generator.ts`,
      );
      expect(() => derivedGenerator(dataset)).toThrow(
        expect.objectContaining({ code: 'DATASET_INVALID', message }),
      );
      return;
    }
    const generate = derivedGenerator(dataset);
    const file = (defectShare: number, repeatShare = 0): Buffer =>
      Buffer.concat([...generate({ rows: 300, seed: 7, defectShare, repeatShare })]);
    expect(file(0.5, 0.5).equals(file(0.5, 0.5))).toBe(true);
    expect(file(0.5).equals(Buffer.concat([...generate({ rows: 300, seed: 8, defectShare: 0.5 })]))).toBe(
      false,
    );

    const good = judgeWhole(dataset, file(0));
    expect(good.refused.slice(0, 2)).toEqual([]);
    expect(good.counts).toMatchObject({ records: 300, accepted: 300 });
    const { key, tables } = planContract(dataset);
    const keysOf = ({ tables: rows }: JudgedFile): Set<string> =>
      new Set(rows[tables[0]?.table ?? '']?.map((row) => JSON.stringify(key.map((column) => row[column]))));
    expect(keysOf(good).size).toBe(300);
    expect(keysOf(judgeWhole(dataset, file(0, 0.5))).size).toBeLessThan(200);
    // No generated record is a delete.
    for (const { table } of tables) expect(good.tables[table]).not.toEqual([]);

    // A record of nulls alone is skipped.
    const { refused, warnings, skipped } = judgeWhole(dataset, file(1)).counts;
    expect(refused + warnings + skipped).toBeGreaterThanOrEqual(300);
  });

  it('has no chunk that holds a whole file', async () => {
    const dataset = await datasetIn('test/fixtures/datasets/webshop-orders');
    const chunks = [...derivedGenerator(dataset)({ rows: 5000, seed: 1 })];
    expect(chunks.length).toBeGreaterThan(3);
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThan(128 * 1024);
  });
});
