import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { type MarkdownFile, ROOT, isInClone, markdownFile } from './markdown-files.js';

/** One test as a page names it: `- [file](link): “title”`. */
const NAMED_TEST = /^- \[[^\]]+\]\(([^)]+)\): “([^”]+)”$/;

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
    expect(tests.filter(({ file, title }) => !isInClone(file) || !sourceOf(file).includes(title))).toEqual(
      [],
    );
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

function testsOf(page: MarkdownFile, heading: string): { file: string; title: string }[] {
  return page
    .section(heading)
    .split('\n')
    .flatMap((line) => {
      const [, href, title] = NAMED_TEST.exec(line) ?? [];
      return href && title ? [{ file: join(dirname(page.file), href), title }] : [];
    });
}

/** A title may stand in the source with its quotes escaped. */
function sourceOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8').replaceAll(String.raw`\'`, "'");
}
