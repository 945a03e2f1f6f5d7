import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type MarkdownFile, ROOT, isInClone } from './markdown-files.js';

export interface NamedTest {
  /** From the root of the repository. */
  readonly file: string;
  readonly title: string;
}

/** One test as a page names it: `- [file](link): “title”`. */
const NAMED_TEST = /^- \[[^\]]+\]\(([^)]+)\): “([^”]+)”$/;

/** The tests that a section of a page names. */
export function testsOf(page: MarkdownFile, heading: string): NamedTest[] {
  return page
    .section(heading)
    .split('\n')
    .flatMap((line) => {
      const [, href, title] = NAMED_TEST.exec(line) ?? [];
      return href && title ? [{ file: join(dirname(page.file), href), title }] : [];
    });
}

/** Whether the file is in a clone and holds the title; a title may stand in the source with its quotes escaped. */
export function exists({ file, title }: NamedTest): boolean {
  if (!isInClone(file)) return false;
  return readFileSync(join(ROOT, file), 'utf8')
    .replaceAll(String.raw`\'`, "'")
    .includes(title);
}
