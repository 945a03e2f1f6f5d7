/**
 * How a CSV file is written: what a dataset says about it (`Dataset.csv`), and the same as bytes. PURE.
 *
 * The dialect is part of the contract: ingestor, validator, loader and `sluice check` take it from the dataset, and no
 * message carries it. A change of it raises `contractVersion`.
 */
import type { Dataset } from './dataset.js';

/** How the records of a CSV file are written. What is left out is as in RFC 4180. */
export interface CsvDialect {
  /** What stands between fields: one ASCII character, not the quote, CR, LF or NUL. Default `,`. */
  readonly delimiter?: string;
  /** What a field with delimiters or line ends in it is enclosed in: one ASCII character. Null: quotes mean nothing. Default `"`. */
  readonly quote?: string | null;
  /**
   * How a quote stands inside quotes. `doubled` (default): twice. `backslash`: a backslash takes the meaning from the
   * next character, or from a whole line end, in quoted and in bare fields; `\n \r \t \b \f \v` are the control
   * characters, `\0` is NUL (removed as ever), and `\N` as the whole field is null. A doubled quote is still a quote.
   */
  readonly escape?: 'doubled' | 'backslash';
  /** The file has no header line: names of its columns, in the file's order. Left out: the first line is the header. */
  readonly columns?: readonly string[];
  /**
   * Comments and footers: a line at the start of a record that begins with one of these texts is no record of the
   * contract, to its line end, also if it holds quotes. It is counted as skipped. Default: none.
   */
  readonly skipLinesStartingWith?: readonly string[];
}

/** A dialect as bytes, made once for a job or a compiled contract. */
export interface ResolvedDialect {
  readonly delimiter: number;
  /** -1: quotes mean nothing. */
  readonly quote: number;
  readonly backslash: boolean;
  readonly skippedStarts: readonly Buffer[];
  readonly columns: readonly string[] | null;
}

export const BACKSLASH = 0x5c;

/** The parts of a dataset that say where its records end. */
export type RecordShape = Pick<Dataset, 'format' | 'csv'>;

/** Records that are lines: NDJSON. */
const LINES: ResolvedDialect = {
  delimiter: -1,
  quote: -1,
  backslash: false,
  skippedStarts: [],
  columns: null,
};

const resolved = new WeakMap<CsvDialect, ResolvedDialect>();
const DEFAULTS: CsvDialect = {};

/** Of a dialect without problems. */
export function resolveDialect(csv: CsvDialect = DEFAULTS): ResolvedDialect {
  const known = resolved.get(csv);
  if (known !== undefined) return known;
  const { delimiter = ',', quote = '"', escape = 'doubled', columns, skipLinesStartingWith = [] } = csv;
  const made: ResolvedDialect = {
    delimiter: delimiter.charCodeAt(0),
    quote: quote === null ? -1 : quote.charCodeAt(0),
    backslash: escape === 'backslash',
    skippedStarts: skipLinesStartingWith.map((text) => Buffer.from(text)),
    columns: columns ?? null,
  };
  resolved.set(csv, made);
  return made;
}

/** What separates the records of a dataset. */
export function dialectOf({ format, csv }: RecordShape): ResolvedDialect {
  return format === 'csv' ? resolveDialect(csv) : LINES;
}

/** Whether the line that begins at `start` is a comment or a footer. */
export function isSkippedLine(bytes: Buffer, start: number, end: number, dialect: ResolvedDialect): boolean {
  return dialect.skippedStarts.some(
    (text) =>
      end - start >= text.length && bytes.compare(text, 0, text.length, start, start + text.length) === 0,
  );
}

const DELIMITER_NAMES: Readonly<Record<string, readonly [one: string, many: string]>> = {
  ',': ['a comma', 'commas'],
  ';': ['a semicolon', 'semicolons'],
  '\t': ['a tab', 'tabs'],
  '|': ['a vertical bar', 'vertical bars'],
  ' ': ['a blank', 'blanks'],
};

/** The delimiters that files are usually written with, in the order in which they are guessed. */
export const USUAL_DELIMITERS: readonly string[] = [',', ';', '\t', '|'];

/** `a comma`, `a semicolon`, …, `"^"`. */
export function delimiterName(delimiter: string): string {
  return DELIMITER_NAMES[delimiter]?.[0] ?? JSON.stringify(delimiter);
}

/** `commas`, `semicolons`, …, `"^"`. */
export function delimitersName(delimiter: string): string {
  return DELIMITER_NAMES[delimiter]?.[1] ?? JSON.stringify(delimiter);
}

/** A longer start of a line distinguishes nothing more; and of a line that is too large, 4 KiB are kept. */
const MAX_START_BYTES = 200;
const MEMBERS: Readonly<Record<keyof CsvDialect, true>> = {
  delimiter: true,
  quote: true,
  escape: true,
  columns: true,
  skipLinesStartingWith: true,
};

/** What is wrong with `Dataset.csv`, each as a clause; TypeScript may not have checked it. */
export function dialectProblems(csv: unknown): string[] {
  if (csv === undefined) return [];
  if (typeof csv !== 'object' || csv === null || Array.isArray(csv)) return ['csv is not an object'];
  const given = csv as Readonly<Record<string, unknown>>;
  const problems = Object.keys(given)
    .filter((name) => !Object.hasOwn(MEMBERS, name))
    .map((name) => `csv has no option "${name}"; it has ${Object.keys(MEMBERS).join(', ')}`);
  const { delimiter = ',', quote = '"', escape = 'doubled', columns, skipLinesStartingWith } = given;
  const separates = isMark(delimiter);
  if (!separates) problems.push('csv.delimiter is not one ASCII character other than CR, LF and NUL');
  if (quote !== null && !isMark(quote))
    problems.push('csv.quote is neither null nor one ASCII character other than CR, LF and NUL');
  else if (separates && delimiter === quote) problems.push('csv.delimiter and csv.quote are the same');
  if (escape !== 'doubled' && escape !== 'backslash')
    problems.push('csv.escape is neither doubled nor backslash');
  else if (escape === 'backslash' && (delimiter === '\\' || quote === '\\'))
    problems.push('csv.escape is backslash, so neither csv.delimiter nor csv.quote can be one');
  return [...problems, ...columnProblems(columns), ...startProblems(skipLinesStartingWith)];
}

function isMark(value: unknown): boolean {
  return typeof value === 'string' && /^[\x01-\x7f]$/.test(value) && value !== '\r' && value !== '\n';
}

function columnProblems(columns: unknown): string[] {
  if (columns === undefined) return [];
  const isList = Array.isArray(columns) && columns.length > 0;
  if (!isList || !columns.every((name) => typeof name === 'string' && name !== ''))
    return ['csv.columns is not a list of names'];
  const repeated = new Set(columns.filter((name, at) => columns.indexOf(name) !== at) as string[]);
  return [...repeated].map((name) => `csv.columns names "${name}" twice`);
}

function startProblems(starts: unknown): string[] {
  if (starts === undefined) return [];
  const isStart = (text: unknown): boolean =>
    typeof text === 'string' &&
    text !== '' &&
    !/[\r\n]/.test(text) &&
    Buffer.byteLength(text) <= MAX_START_BYTES;
  if (Array.isArray(starts) && starts.every(isStart)) return [];
  return [
    `csv.skipLinesStartingWith is not a list of texts without line ends, each of at most ${MAX_START_BYTES} bytes`,
  ];
}
