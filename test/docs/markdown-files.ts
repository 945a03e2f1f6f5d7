import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import GithubSlugger from 'github-slugger';
import { type Token, marked } from 'marked';

/** The folder of this checkout. */
export const ROOT = resolve(import.meta.dirname, '../..');

/** Where Markdown may stand, besides the top folder itself. */
const FOLDERS = ['apps', 'bench', 'docs', 'libs', 'scripts', 'test'];

/** One page of the repository, as its readers see it. */
export class MarkdownFile {
  private readonly tokens: Token[] = [];

  constructor(
    /** From the top folder, with slashes. */
    readonly file: string,
    readonly text: string,
  ) {
    // Promises are only what a callback of ours would return.
    void marked.walkTokens(marked.lexer(text), (token) => {
      this.tokens.push(token);
    });
  }

  /** Where its links lead, as written. */
  links(): string[] {
    return this.tokens.flatMap((token) =>
      token.type === 'link' || token.type === 'image' ? [String(token['href'])] : [],
    );
  }

  /** `like this`, in running text and in tables. */
  codeSpans(): string[] {
    return this.tokens.flatMap((token) => (token.type === 'codespan' ? [String(token['text'])] : []));
  }

  /** Lines of fenced blocks, of whatever language. */
  codeLines(): string[] {
    return this.tokens.flatMap((token) => (token.type === 'code' ? String(token['text']).split('\n') : []));
  }

  /** Fenced blocks whole, with their languages. */
  codeBlocks(): { readonly lang: string; readonly text: string }[] {
    return this.tokens.flatMap((token) =>
      token.type === 'code' ? [{ lang: String(token['lang'] ?? ''), text: String(token['text']) }] : [],
    );
  }

  headings(): string[] {
    return this.tokens.flatMap((token) => (token.type === 'heading' ? [String(token['text'])] : []));
  }

  /** The names that `#links` can use. */
  anchors(): string[] {
    const slugger = new GithubSlugger();
    return this.headings().map((heading) => slugger.slug(heading.replaceAll('`', '')));
  }

  /** The text from the heading that begins so to the next heading of any level. */
  section(start: string): string {
    const parts = this.text.split(/^(?=#{1,6} )/m);
    return parts.find((part) => part.replace(/^#+ /, '').startsWith(start)) ?? '';
  }
}

/** Every page, fixtures excluded. */
export function markdownFiles(): MarkdownFile[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  const below = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter((name) => name.endsWith('.md') && !name.includes(`fixtures${sep}input`)),
  );
  return [...top, ...below].sort().map(markdownFile);
}

/** @param file from the top folder */
export function markdownFile(file: string): MarkdownFile {
  const path = join(ROOT, file);
  return new MarkdownFile(relative(ROOT, path).split(sep).join('/'), readFileSync(path, 'utf8'));
}

/** Whether there is such a file, or a folder with something in it: an empty one is not in a clone. */
export function isInClone(path: string): boolean {
  const facts = statSync(join(ROOT, path), { throwIfNoEntry: false });
  if (!facts?.isDirectory()) return facts !== undefined;
  return readdirSync(join(ROOT, path)).length > 0;
}
