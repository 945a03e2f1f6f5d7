/** Kinds of documents: JSON, and lists of values. PURE. */
import { defineKind, type Kind, kindInvalid } from './kind.js';

/** Deeper documents could exhaust PostgreSQL's stack, which is not the record's own error there but the server's. */
const MAX_JSON_DEPTH = 200;

/**
 * Any JSON value, stored as the source wrote it (digits are kept). Refused is what jsonb cannot hold:
 * `\u0000`, half of a surrogate pair, nesting over 200 levels.
 */
export function jsonb(): Kind {
  return defineKind({
    name: 'jsonb',
    columnType: 'jsonb',
    reads: 'json',
    accepts: (value) => {
      try {
        return fitsJsonb(JSON.parse(value), 0);
      } catch {
        return false;
      }
    },
    message: 'must be JSON that jsonb can hold (no \\u0000, no half surrogate pairs, at most 200 levels)',
  });
}

/** With the `u` flag a whole pair is one character, so only lone halves are of the category Surrogate. */
export const HALF_SURROGATE_PAIR = /\p{Surrogate}/u;

function fitsJsonb(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return !value.includes('\0') && !HALF_SURROGATE_PAIR.test(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_JSON_DEPTH) return false;
  return Object.entries(value).every(
    ([name, member]) => fitsJsonb(name, depth) && fitsJsonb(member, depth + 1),
  );
}

/**
 * A list, stored as an array of PostgreSQL. CSV: a text that is cut at each separator. NDJSON: a JSON array. Ends of elements
 * are trimmed (blank, tab, U+3000); an element that is empty, or null, is NULL in the array; others are of the kind, and one that
 * is not makes the whole list invalid. The column is null where the field is, and an empty JSON array is an empty array.
 */
export function arrayOf(element: Kind, options: { readonly separator?: string } = {}): Kind {
  const { separator = ',' } = options;
  if (typeof separator !== 'string' || separator === '' || separator.includes('\0')) {
    throw kindInvalid('arrayOf', 'its separator must be a text of one or more characters');
  }
  if (element.columnType.endsWith('[]'))
    throw kindInvalid('arrayOf', 'its elements cannot be arrays themselves');
  const cut = (value: string): (string | null)[] => value.split(separator).map(cleanElement);
  const fits = (elements: readonly (string | null)[]): boolean =>
    elements.every((one) => one === null || element.accepts(one));
  const columnType = `${element.columnType}[]`;
  const inJson = defineKind({
    name: 'arrayOf',
    columnType,
    reads: 'json',
    accepts: (value) => {
      const elements = elementsOfJson(value, element);
      return elements !== null && fits(elements);
    },
    message: `must be an array, and each element of it ${element.message}`,
    toText: (value) => arrayText(elementsOfJson(value, element) ?? [], element),
  });
  return defineKind({
    name: 'arrayOf',
    columnType,
    accepts: (value) => fits(cut(value)),
    message: `must be a list separated by ${JSON.stringify(separator)}, and each element of it ${element.message}`,
    toText: (value) => arrayText(cut(value), element),
    inJson,
  });
}

const BLANKS = ' \t\u3000';

function cleanElement(value: string): string | null {
  let start = 0;
  let end = value.length;
  while (start < end && BLANKS.includes(value.charAt(start))) start += 1;
  while (end > start && BLANKS.includes(value.charAt(end - 1))) end -= 1;
  return start === end ? null : value.slice(start, end);
}

function arrayText(elements: readonly (string | null)[], kind: Kind): string {
  const texts = elements.map((element) => {
    if (element === null) return 'NULL';
    const text = kind.toText?.(element) ?? element;
    return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  });
  return `{${texts.join(',')}}`;
}

/** The elements of a JSON array as the kind reads them, digits kept; null where one cannot be read so, or it is no array. */
function elementsOfJson(json: string, kind: Kind): (string | null)[] | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return null;
  }
  if (!Array.isArray(parsed)) return null;
  const texts = textsOfArray(json);
  const elements: (string | null)[] = [];
  for (const [at, value] of (parsed as unknown[]).entries()) {
    const text = texts[at] ?? '';
    if (value === null) elements.push(null);
    else if (kind.reads === 'json') elements.push(text);
    else if (typeof value === 'object') return null;
    else if (typeof value === 'string') {
      if (value.includes('\0') || HALF_SURROGATE_PAIR.test(value)) return null;
      elements.push(cleanElement(value));
    } else if (typeof value === 'number') elements.push(plainNumber(text, kind));
    else elements.push(text);
  }
  return elements;
}

function plainNumber(text: string, { plainNumber: plain }: Kind): string {
  const isWrittenOut = plain !== undefined && (/[eE]/.test(text) || (plain.whole && text.includes('.')));
  return isWrittenOut ? plain.of(text) : text;
}

/** Of a text that `JSON.parse` took for an array: the text of each element. */
function textsOfArray(json: string): string[] {
  const texts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < json.length; at += 1) {
    const letter = json.charAt(at);
    if (letter === '"') {
      for (at += 1; json.charAt(at) !== '"'; at += 1) if (json.charAt(at) === '\\') at += 1;
    } else if (letter === '[' || letter === '{') {
      depth += 1;
      if (depth === 1) from = at + 1;
    } else if (letter === ']' || letter === '}') {
      depth -= 1;
      if (depth === 0) texts.push(json.slice(from, at).trim());
    } else if (letter === ',' && depth === 1) {
      texts.push(json.slice(from, at).trim());
      from = at + 1;
    }
  }
  return texts;
}
