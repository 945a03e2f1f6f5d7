import type { CsvDialect } from '../../../libs/core/src/dataset/csv-dialect.js';

const MEANT: Readonly<Record<string, string>> = {
  ...{ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', v: '\v', '0': '\0' },
};

/**
 * The fields of one well-formed record without its line end, character by character, as `CsvDialect` words it: for tests
 * to compare the splitter with. NULs stay here; null is what a backslash and N make of a whole field.
 */
export function plainFields(
  record: string,
  { delimiter = ',', quote = '"', escape = 'doubled' }: CsvDialect = {},
): (string | null)[] {
  const fields: (string | null)[] = [];
  let rest = record;
  for (;;) {
    const isQuoted = quote !== null && rest.startsWith(quote);
    let raw = '';
    let value = '';
    if (isQuoted) rest = rest.slice(1);
    for (;;) {
      const [letter = '', next = ''] = Array.from(rest.slice(0, 4));
      const isEscape = escape === 'backslash' && letter === '\\' && next !== '';
      const isPair = isQuoted && letter === quote && next === quote;
      const isEnd = letter === '' || (isQuoted ? letter === quote && !isPair : letter === delimiter);
      if (isEnd) break;
      const taken = isEscape || isPair ? letter + next : letter;
      raw += taken;
      value += isEscape ? (MEANT[next] ?? next) : letter;
      rest = rest.slice(taken.length);
    }
    if (isQuoted) rest = rest.slice(1);
    fields.push(escape === 'backslash' && raw === '\\N' ? null : value);
    if (rest === '') return fields;
    rest = rest.slice(delimiter.length);
  }
}
