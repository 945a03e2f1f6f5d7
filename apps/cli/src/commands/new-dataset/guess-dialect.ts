/**
 * How a sample of CSV is written: delimiter, quotes, escapes, header, comment and footer lines. PURE.
 * The records are read by csv-parse, so that a guess and the compiled contract come from two readers.
 */
import { parse } from 'csv-parse/sync';
import { DEFAULT_NULL_TOKENS } from '#core/dataset/columns.js';
import { type CsvDialect, USUAL_DELIMITERS } from '#core/dataset/csv-dialect.js';

export interface DialectGuess {
  readonly dialect: CsvDialect;
  /** Of the header, or `column1` … where there is none. All different. */
  readonly names: readonly string[];
  /** The records' fields, as they stand. All have as many as there are names. */
  readonly records: readonly (readonly string[])[];
  /** What is not certain, a sentence each. */
  readonly guesses: readonly string[];
}

/** Enough to recognize a delimiter: of a large sample the rest only confirms it. */
const PROBED_LINES = 500;
/** Lines at the end that may be totals. */
const MAX_FOOTER_LINES = 3;
/** Of the probed records, how many must have one width. */
const MIN_SHARE_OF_WIDTH = 0.8;
const NULL_ESCAPE = '\\N';
/** Columns are named by them. */
const YEAR = /^(19|20)\d\d$/;
const NUMBER_OR_TIME = /^[-+.,:/\d\s]+$/;

/**
 * @param text decoded, byte order mark left out
 * @param isWhole the sample is the whole file, so that its end is the file's
 * @returns null where no delimiter gives records of one width
 */
export function guessDialect(text: string, isWhole: boolean): DialectGuess | null {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line !== '');
  const comments = lines[0]?.startsWith('#') === true ? ['#'] : [];
  const read = lines.filter((line) => !comments.some((start) => line.startsWith(start)));
  const probe = read.slice(0, PROBED_LINES);
  const quote = guessQuote(probe);
  const hasBackslash = quote !== null && probe.some((line) => line.includes(`\\${quote}`));
  const escape = hasBackslash ? ('backslash' as const) : ('doubled' as const);
  const delimiter = guessDelimiter(probe, quote, escape);
  if (delimiter === null) return null;
  const rows = readAll(text, { delimiter, quote, escape }, comments);
  const width = commonWidth(rows);
  const complete = rows.filter((row) => row.length === width);
  const footers = isWhole ? footerStarts(rows, read, width, { delimiter, quote }) : [];
  const header = guessHeader(complete);
  const records = header === null ? complete : complete.slice(1);
  const named = header === null ? placeNames(width) : differentNames(header);
  const isNamedHere = header === null || named.some((name, at) => name !== header[at]);
  const isUnescaped = quote === null && records.some((row) => row.some((field) => /\\[\\tnr]/.test(field)));
  const skip = [...comments, ...footers, ...(header !== null && isNamedHere ? [read[0] ?? ''] : [])];
  return {
    dialect: {
      ...(delimiter === ',' ? {} : { delimiter }),
      ...(quote === '"' ? {} : { quote }),
      ...(hasBackslash || isUnescaped ? { escape: 'backslash' as const } : {}),
      ...(isNamedHere ? { columns: named } : {}),
      ...(skip.length > 0 ? { skipLinesStartingWith: skip } : {}),
    },
    names: named,
    records,
    guesses: [
      ...(width === 1 && delimiter !== ',' ? ['Each line is one field: no delimiter cuts them alike.'] : []),
      ...(header === null ? ['The file has no header line; the columns are named by their place.'] : []),
      ...(header !== null && isNamedHere
        ? ['The header has names that are empty or stand twice; the columns are named in dataset.ts instead.']
        : []),
      ...(footers.length > 0 ? [`Lines that begin with ${quoted(footers)} are no records.`] : []),
      ...(isUnescaped ? ['Backslashes are escapes, as in a dump of a database.'] : []),
      ...raggedNote(rows.length - complete.length - countFooters(rows, width, footers.length > 0), width),
    ],
  };
}

function raggedNote(count: number, width: number): string[] {
  if (count <= 0) return [];
  return [`${count} of the sample's lines do not have ${width} fields and will be refused.`];
}

interface Reading {
  readonly delimiter: string;
  readonly quote: string | null;
  readonly escape: 'doubled' | 'backslash';
}

/** A record that cannot be read is left out: an open quote at the end of a part of a file. */
function readAll(
  text: string,
  { delimiter, quote, escape }: Reading,
  comments: readonly string[],
): string[][] {
  const [comment] = comments;
  return parse(text, {
    delimiter,
    quote: quote ?? false,
    escape: escape === 'backslash' ? '\\' : (quote ?? '"'),
    ...(comment === undefined ? {} : { comment, comment_no_infix: true }),
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
  });
}

/** No quotes at all where one that opens a field is never closed: tools that dump tables write such files. */
function guessQuote(lines: readonly string[]): string | null {
  const edges = (mark: string): number => {
    const atBothEnds = new RegExp(`(^|[,;\\t|])${mark}[^${mark}]*${mark}($|[,;\\t|])`);
    return lines.filter((line) => atBothEnds.test(line)).length;
  };
  if (edges('"') > 0) return '"';
  if (edges("'") > lines.length / 2) return "'";
  const mayHaveBareQuotes =
    lines.some((line) => line.includes('"')) && lines.some((line) => line.includes('\t'));
  return mayHaveBareQuotes ? null : '"';
}

function guessDelimiter(
  lines: readonly string[],
  quote: string | null,
  escape: Reading['escape'],
): string | null {
  if (lines.length === 0) return ',';
  const scored = USUAL_DELIMITERS.map((delimiter) => {
    const rows = readAll(lines.join('\n'), { delimiter, quote, escape }, []);
    const width = commonWidth(rows);
    // Totals at the end of a small sample would outvote its records.
    const last = rows.findLastIndex((row) => row.length === width);
    const body = rows.slice(0, Math.max(last + 1, rows.length - MAX_FOOTER_LINES));
    const share = body.filter((row) => row.length === width).length / Math.max(1, body.length);
    return { delimiter, width, share };
  });
  const [best] = scored
    .filter(({ width, share }) => width > 1 && share >= MIN_SHARE_OF_WIDTH)
    .sort((a, b) => b.share - a.share || b.width - a.width);
  // One column: by a delimiter that none of its lines is cut at.
  return (best ?? scored.find(({ width, share }) => width === 1 && share === 1))?.delimiter ?? null;
}

/** The most frequent one; of several the widest, which a text of words cannot have by chance. */
function commonWidth(rows: readonly (readonly string[])[]): number {
  const counts = new Map<number, number>();
  for (const { length } of rows) counts.set(length, (counts.get(length) ?? 0) + 1);
  const [best] = [...counts].sort(([a, often], [b, other]) => other - often || b - a);
  return best?.[0] ?? 0;
}

function countFooters(rows: readonly (readonly string[])[], width: number, areThere: boolean): number {
  if (!areThere) return 0;
  const last = rows.findLastIndex((row) => row.length === width);
  return Math.min(MAX_FOOTER_LINES, rows.length - 1 - last);
}

/** What the last lines begin with, where they have another width than the records, and no record begins so. */
function footerStarts(
  rows: readonly (readonly string[])[],
  lines: readonly string[],
  width: number,
  { delimiter, quote }: Pick<Reading, 'delimiter' | 'quote'>,
): string[] {
  const starts = new Set<string>();
  for (let back = 1; back <= Math.min(MAX_FOOTER_LINES, rows.length); back += 1) {
    const row = rows.at(-back) ?? [];
    const line = lines.at(-back) ?? '';
    const [first = ''] = row;
    // A number is another one in the next file.
    if (row.length === width || /^[\s\d]*$/.test(first)) break;
    const start = [first, `${quote ?? ''}${first}${quote ?? ''}`]
      .map((written) => (row.length === 1 ? written : written + delimiter))
      .find((written) => line.startsWith(written));
    const isRecordsToo = rows.some((other) => other.length === width && other[0]?.startsWith(first) === true);
    if (start === undefined || isRecordsToo) break;
    starts.add(start);
  }
  return [...starts].reverse();
}

/**
 * The first record is a header when more columns have a word there above numbers or times than a number; else when its
 * fields are names: all there, all different, and none of them stands again in its own column.
 */
function guessHeader(rows: readonly (readonly string[])[]): string[] | null {
  const [first, ...others] = rows;
  if (first === undefined) return null;
  const names = first.map((name) => name.trim());
  let wordsAboveNumbers = 0;
  for (const [at, name] of names.entries()) {
    const values = others.map((row) => row[at]?.trim() ?? '').filter((value) => value !== '');
    if (values.length === 0 || !values.every((value) => NUMBER_OR_TIME.test(value))) continue;
    if (isName(name)) wordsAboveNumbers += 1;
    else if (!YEAR.test(name)) wordsAboveNumbers -= 1;
  }
  if (wordsAboveNumbers > 0 && !names.includes(NULL_ESCAPE)) return names;
  if (!names.every(isName) || new Set(names).size !== names.length) return null;
  return names.some((name, at) => others.some((row) => row[at]?.trim() === name)) ? null : names;
}

function isName(field: string): boolean {
  return !DEFAULT_NULL_TOKENS.includes(field) && field !== NULL_ESCAPE && !NUMBER_OR_TIME.test(field);
}

/** The second `name` is `name2`; an empty one is named by its place. */
function differentNames(names: readonly string[]): string[] {
  const used = new Set<string>();
  return names.map((name, at) => {
    const base = name === '' ? `column${at + 1}` : name;
    let free = base;
    for (let number = 2; used.has(free); number += 1) free = `${base}${number}`;
    used.add(free);
    return free;
  });
}

function placeNames(width: number): string[] {
  return Array.from({ length: width }, (_, at) => `column${at + 1}`);
}

function quoted(texts: readonly string[]): string {
  return texts.map((text) => JSON.stringify(text)).join(' or ');
}
