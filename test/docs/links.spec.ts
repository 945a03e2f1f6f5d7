import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { type MarkdownFile, ROOT, isInClone, markdownFile, markdownFiles } from './markdown-files.js';

const EXTERNAL = /^(https?:|mailto:)/;
/** A code span that names a file or folder of the repository; patterns and `<names>` are left alone. */
const PATH = /^(apps|bench|docs|libs|scripts|test)\/[^\s*<>{}…]*$/;

describe('what the pages point to', () => {
  const pages = markdownFiles();

  it('has pages to look at', () => {
    expect(pages.map(({ file }) => file)).toEqual(
      expect.arrayContaining(['README.md', 'docs/guarantees.md']),
    );
  });

  it.each(pages.map((page) => [page.file, page] as const))(
    '%s: every link leads somewhere',
    (_file, page) => {
      expect(page.links().filter((href) => !EXTERNAL.test(href) && !leadsSomewhere(page, href))).toEqual([]);
    },
  );

  it.each(pages.map((page) => [page.file, page] as const))('%s: every path in code exists', (_file, page) => {
    const paths = page.codeSpans().filter((span) => PATH.test(span));
    expect(paths.filter((path) => !isInClone(path))).toEqual([]);
  });
});

/** A page that a comment or a specification's title cites: `docs/failure.md`, `libs/core/src/record/README.md`. */
const CITED_PAGE = /\b(?:apps|bench|docs|libs|scripts|test)\/[\w./-]*\.md\b/g;

describe('what the code cites', () => {
  const sources = ['apps', 'bench', 'libs', 'scripts', 'test'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter((name) => /\.(ts|js)$/.test(name)),
  );
  const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

  it('is a page of this repository', () => {
    const cited = sources.flatMap((file) =>
      (textOf(file).match(CITED_PAGE) ?? []).map((page) => ({ file, page })),
    );
    expect(cited.length).toBeGreaterThan(10);
    expect(cited.filter(({ page }) => !isInClone(page))).toEqual([]);
  });

  it('is no section of a paper that only its writers have', () => {
    const word = ['DESIGN', 'section'].join(' ');
    const pages = markdownFiles().map(({ file }) => file);
    expect([...sources, ...pages, 'eslint.config.js'].filter((file) => textOf(file).includes(word))).toEqual(
      [],
    );
  });
});

function leadsSomewhere(page: MarkdownFile, href: string): boolean {
  const [path = '', anchor] = decodeURIComponent(href).split('#');
  const target = path === '' ? page.file : join(dirname(page.file), path);
  if (join(ROOT, target).startsWith(ROOT) && !isInClone(target)) return false;
  if (anchor === undefined || anchor === '') return true;
  return target.endsWith('.md') && markdownFile(target).anchors().includes(anchor);
}
