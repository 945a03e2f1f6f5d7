import type { Prose } from './source-prose.js';

/** Where an invariant is written down: `- KT2: …` or `- KT2 (G5): …` in the comment that a module begins with. */
export interface Definition {
  readonly file: string;
  readonly line: number;
  readonly prefix: string;
  readonly number: number;
}

/** What looks like an id and is none. */
const OTHER_NAMES = new Set(['CP437', 'E3', 'MD5', 'S3', 'V8', 'X509']);
/** Guarantees of docs/guarantees.md: the only ids with one capital letter. */
const GUARANTEES = 10;

const DEFINITION = /^ - ([A-Z]{1,3})(\d+)(?: \(G\d+(?:, G\d+)*\))?: /;
const CITATION = /(?<![\w%+#.-])([A-Z]{1,2})(\d{1,3})(?![\w%])/g;

export function definitionsIn(file: string, prose: readonly Prose[]): Definition[] {
  return prose
    .filter(({ kind }) => kind === 'comment')
    .flatMap(({ line: first, text }) =>
      text.split('\n').flatMap((line, index) => {
        const [, prefix, number] = DEFINITION.exec(line) ?? [];
        return prefix && number ? [{ file, line: first + index, prefix, number: Number(number) }] : [];
      }),
    );
}

/** @returns a sentence for each prefix that is not two capital letters of one module, and each gap in a module's numbers */
export function problemsOfDefinitions(definitions: readonly Definition[]): string[] {
  const prefixes = new Set(definitions.map(({ prefix }) => prefix));
  return [...prefixes].flatMap((prefix) => {
    const all = definitions.filter((each) => each.prefix === prefix);
    const files = [...new Set(all.map(({ file }) => file))];
    const numbers = all.map(({ number }) => number).sort((a, b) => a - b);
    const problems: string[] = [];
    if (prefix.length !== 2) problems.push(`${prefix} of ${files.join(', ')} has not two letters`);
    if (files.length > 1) problems.push(`${prefix} belongs to several modules: ${files.join(', ')}`);
    else if (numbers.some((number, index) => number !== index + 1))
      problems.push(`${prefix} of ${files.join('')} has the numbers ${numbers.join(', ')}, not 1 to n`);
    return problems;
  });
}

/** @returns a sentence for each id that no module defines; several may stand in one place (`KT1 to KT3`, `KT1–KT3`) */
export function unknownIds(
  definitions: readonly Definition[],
  place: string,
  text: string,
  firstLine = 1,
): string[] {
  const known = new Set(definitions.map(({ prefix, number }) => `${prefix}${number}`));
  return [...text.matchAll(CITATION)].flatMap(({ 0: id, 1: prefix, 2: number, index }) => {
    const isGuarantee = prefix === 'G' && Number(number) >= 1 && Number(number) <= GUARANTEES;
    if (known.has(id) || isGuarantee || OTHER_NAMES.has(id)) return [];
    const line = firstLine + text.slice(0, index).split('\n').length - 1;
    return [`${place}:${line}: ${id} is no invariant of any module`];
  });
}
