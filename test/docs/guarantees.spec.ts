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
    const items = map
      .section('Guarantee → test')
      .split(/\n(?=- )/)
      .filter((item) => /^- \*\*G\d+ /.test(item));
    const headings = guarantees.headings().filter((each) => /^G\d+\. /.test(each));
    expect(items).toHaveLength(headings.length);
    for (const heading of headings) {
      const item =
        items.find((each) => each.startsWith(`- **${heading.slice(0, heading.indexOf('.'))} `)) ?? '';
      const linked = [...item.matchAll(/\]\(([^)]+)\)/g)].map(([, href = '']) => join('test', href));
      const named = testsOf(guarantees, heading).map(({ file }) => file);
      expect({ heading, files: linked.sort() }).toEqual({ heading, files: [...new Set(named)].sort() });
    }
  });
});
