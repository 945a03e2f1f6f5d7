import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { CASES } from '../../bench/cases.js';
import { README_CASE, readmeWithFigures } from '../../bench/report/readme-block.js';
import { ROOT, markdownFile } from './markdown-files.js';

describe('README.md', () => {
  it('has the figures of the newest stored result: `npm run bench -- --readme` writes them', async () => {
    const { defaultRows } = CASES.find(({ name }) => name === README_CASE)!;
    const text = readFileSync(join(ROOT, 'README.md'), 'utf8');
    expect(text).toBe(await readmeWithFigures(ROOT, defaultRows));
  });
});

describe('bench/README.md', () => {
  it('has each case, in order, and the rows it has', () => {
    const page = markdownFile('bench/README.md');
    const rows = [...page.text.matchAll(/^\| `([a-z-]+)` +\| +([\d,]+) \|/gm)];
    expect(rows.map(([, name, count]) => [name, Number(count?.replaceAll(',', ''))])).toEqual(
      CASES.map(({ name, defaultRows }) => [name, defaultRows]),
    );
  });
});
