import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import ts from 'typescript';
import { ROOT } from '../docs/markdown-files.js';

/** What a source file says in words: to who reads the code, its log, or the report of its tests. */
export interface Prose {
  readonly kind: 'comment' | 'title' | 'message';
  /** Of the first word. */
  readonly line: number;
  /** As many lines as in the file, without the marks of comments; a template's `${…}` is `…`. */
  readonly text: string;
}

const TESTS = new Set(['describe', 'it', 'test']);
const LOGS = /(?:^|\.)(?:log|logger|#logger)$/;

/** TypeScript and JavaScript below these folders, by path from the root, with slashes; data beside tests are left out. */
export function sourceFiles(folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(ROOT, folder, name))
      .filter((path) => /\.[jt]s$/.test(path) && !/[\\/](?:fixtures|node_modules|dist)[\\/]/.test(path))
      .filter((path) => statSync(path).isFile())
      .map((path) => relative(ROOT, path).replaceAll(sep, '/'))
      .sort(),
  );
}

export function readSource(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Comments, titles of tests with the cases that stand in them, and messages of logs and SluiceErrors. */
export function proseOfSource(file: string, text: string): Prose[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1;
  const found: Prose[] = [];
  const say = (kind: Prose['kind'], node: ts.Node): void => {
    const words = wordsOf(node);
    if (words !== null) found.push({ kind, line: lineOf(node.getStart()), text: words });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const callee = node.expression;
      if (TESTS.has(rootOf(callee)))
        titlesOf(node).forEach((each) => {
          say('title', each);
        });
      if (ts.isPropertyAccessExpression(callee) && LOGS.test(callee.expression.getText()))
        node.arguments.forEach((each) => {
          say('message', each);
        });
    }
    if (ts.isNewExpression(node) && node.expression.getText() === 'SluiceError')
      node.arguments?.slice(1).forEach((each) => {
        say('message', each);
      });
    node.forEachChild(visit);
  };
  visit(source);
  for (const { pos, end } of commentsOf(source, text))
    found.push({ kind: 'comment', line: lineOf(pos), text: withoutMarks(text.slice(pos, end)) });
  return found.sort((a, b) => a.line - b.line);
}

/** Of `it.each(rows)('title')` the title and each row's first cell, which is what `%s` shows; of `it('title')` the title. */
function titlesOf(call: ts.CallExpression): ts.Node[] {
  const isTable = /\beach$/.test(call.expression.getText());
  const [first] = call.arguments;
  if (first === undefined) return [];
  if (!isTable) return [first];
  const table = ts.isAsExpression(first) ? first.expression : first;
  if (!ts.isArrayLiteralExpression(table)) return [];
  return table.elements.flatMap((row) => (ts.isArrayLiteralExpression(row) ? row.elements.slice(0, 1) : []));
}

function rootOf(callee: ts.Expression): string {
  if (ts.isIdentifier(callee)) return callee.text;
  if (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) return rootOf(callee.expression);
  return '';
}

function wordsOf(node: ts.Node): string | null {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('…');
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return null;
  return (wordsOf(node.left) ?? '…') + (wordsOf(node.right) ?? '…');
}

/** One for each block, and one for each run of `//` lines. */
function commentsOf(source: ts.SourceFile, text: string): ts.TextRange[] {
  const ranges = new Map<number, ts.CommentRange>();
  const visit = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) return;
    const around = [
      ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
      ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
    ];
    for (const range of around) ranges.set(range.pos, range);
    node.getChildren(source).forEach(visit);
  };
  visit(source);
  const sorted = [...ranges.values()].sort((a, b) => a.pos - b.pos);
  const runs: { pos: number; end: number; kind: ts.CommentKind }[] = [];
  for (const { pos, end, kind } of sorted) {
    const last = runs.at(-1);
    const continues =
      last?.kind === ts.SyntaxKind.SingleLineCommentTrivia && /^\n[ \t]*$/.test(text.slice(last.end, pos));
    if (continues && kind === last.kind) last.end = end;
    else runs.push({ pos, end, kind });
  }
  return runs;
}

function withoutMarks(comment: string): string {
  return comment
    .replace(/^\/\*+|\*\/$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*(?:\/\/|\*(?!\/))?/, ''))
    .join('\n');
}
