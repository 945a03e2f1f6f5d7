import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { markdownFile } from './markdown-files.js';
import { exists, testsOf } from './named-tests.js';

describe('docs/guarantees.md', () => {
  const page = markdownFile('docs/guarantees.md');
  const headings = page.headings().filter((heading) => /^G\d+\. /.test(heading));

  it('has each guarantee once, in order', () => {
    const numbers = headings.map((heading) => heading.slice(0, heading.indexOf('.')));
    expect(numbers).toEqual(Array.from({ length: 10 }, (_, index) => `G${index + 1}`));
  });

  it.each(headings)('%s: its tests exist, under the titles given', (heading) => {
    const tests = testsOf(page, heading);
    expect(tests).not.toEqual([]);
    expect(tests.filter((test) => !exists(test))).toEqual([]);
  });
});

describe('test/README.md', () => {
  it('maps every guarantee to the tests that docs/guarantees.md names', () => {
    const guarantees = markdownFile('docs/guarantees.md');
    const map = markdownFile('test/README.md');
    const rows = map.text.split('\n').filter((line) => /^\| G\d+ /.test(line));
    for (const heading of guarantees.headings().filter((each) => /^G\d+\. /.test(each))) {
      const row = rows.find((line) => line.startsWith(`| ${heading.slice(0, heading.indexOf('.'))} `)) ?? '';
      const linked = [...row.matchAll(/\]\(([^)]+)\)/g)].map(([, href = '']) => join('test', href));
      const named = testsOf(guarantees, heading).map(({ file }) => file);
      expect({ heading, files: linked.sort() }).toEqual({ heading, files: [...new Set(named)].sort() });
    }
  });
});
