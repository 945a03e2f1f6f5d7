import { parse } from 'csv-parse/sync';

/**
 * The oracle's way from a file's bytes to records of strings: line by line, quote by quote, and
 * csv-parse for everything that is well formed.
 */

/** One record before any judgement. `cells` is null where quoting or encoding is broken or the size is over the limit. */
export interface SourceRecord {
  /** Number in the file, from 0; blank records count. */
  readonly record: number;
  /** Line of its first byte, from 1. */
  readonly line: number;
  readonly cells: readonly string[] | null;
  readonly isTooLarge: boolean;
  /** Fields, from 0, that are not quoted and hold a quote. */
  readonly strayQuotes: readonly number[];
}

/** Where a record is, and whether its quoting holds. */
interface Span {
  readonly start: number;
  /** Behind its line end. */
  readonly end: number;
  readonly line: number;
  readonly isBroken: boolean;
  readonly isTooLarge: boolean;
}

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
const COMMA = 0x2c;

/** csv-parse costs a parser a call: give it many records at once. */
const RECORDS_A_CALL = 1000;

/** @param dataStart where the first record begins, on line `firstLine` */
export function* readRecords(
  file: Buffer,
  dataStart: number,
  firstLine: number,
  maxRecordBytes: number,
): Generator<SourceRecord> {
  let record = 0;
  let group: Span[] = [];
  for (const span of spans(file, dataStart, firstLine, maxRecordBytes)) {
    group.push(span);
    if (group.length < RECORDS_A_CALL) continue;
    yield* readGroup(file, group, record);
    record += group.length;
    group = [];
  }
  yield* readGroup(file, group, record);
}

function* readGroup(file: Buffer, group: readonly Span[], firstRecord: number): Generator<SourceRecord> {
  const texts = group.map((span) => {
    const text = span.isBroken || span.isTooLarge ? null : decode(file.subarray(span.start, span.end));
    // What no writer of CSV means so: a CR that ends no line, a blank before an opening quote.
    return text !== null && bareFields(text).some((field) => /\r|^[ \t\u3000]+"/.test(field ?? ''))
      ? null
      : text;
  });
  const readable = texts.filter((text) => text !== null);
  const parsed: string[][] = parse(readable.join(''), {
    record_delimiter: ['\r\r\n', '\r\n', '\n'],
    // Lengths are judged by the rules, and a quote inside a bare field is a character.
    relax_column_count: true,
    relax_quotes: true,
  });
  if (parsed.length !== readable.length) {
    throw new RangeError(`csv-parse sees ${parsed.length} records where the oracle sees ${readable.length}.`);
  }
  let next = 0;
  for (const [index, span] of group.entries()) {
    const text = texts[index] ?? null;
    const cells = text === null ? null : (parsed[next++] ?? null);
    const strayQuotes = bareFields(text ?? '').flatMap((field, at) =>
      field?.includes('"') === true ? [at] : [],
    );
    yield { record: firstRecord + index, line: span.line, cells, isTooLarge: span.isTooLarge, strayQuotes };
  }
}

/** The fields of one record that are not quoted as they stand there, null for the others. */
function bareFields(text: string): (string | null)[] {
  const line = text.replace(/\r{0,2}\n$/, '');
  return [...line.matchAll(/(?:^|,)(?:("(?:[^"]|"")*")|([^,]*))/g)].map(([, , bare]) => bare ?? null);
}

function decode(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function* spans(file: Buffer, dataStart: number, firstLine: number, maxRecordBytes: number): Generator<Span> {
  let line = firstLine;
  for (let start = dataStart; start < file.length;) {
    const { end, brokenAt } = endByQuotes(file, start, maxRecordBytes);
    // A quoted field that breaks the rule ends its record at the first line end after its opening quote.
    let recordEnd = brokenAt === null ? end : behindLineEnd(file, brokenAt);
    const isTooLarge = recordEnd - start > maxRecordBytes;
    if (isTooLarge) recordEnd = behindLineEnd(file, start + maxRecordBytes);
    yield { start, end: recordEnd, line, isBroken: brokenAt !== null, isTooLarge };
    for (let at = start; at < recordEnd; at += 1) if (file[at] === LF) line += 1;
    start = recordEnd;
  }
}

/**
 * Walks a record byte by byte.
 * @returns where it ends by the rules, or `brokenAt`: the place of the opening quote whose field
 * breaks them, is never closed, or is still open beyond the largest record
 */
function endByQuotes(
  file: Buffer,
  start: number,
  maxRecordBytes: number,
): { end: number; brokenAt: number | null } {
  let openedAt: number | null = null;
  let isFieldStart = true;
  for (let at = start; at < file.length; at += 1) {
    if (at - start >= maxRecordBytes) return { end: behindLineEnd(file, at), brokenAt: openedAt };
    const byte = file[at];
    if (openedAt !== null) {
      if (byte !== QUOTE) continue;
      const next = file[at + 1];
      if (next === QUOTE) {
        at += 1;
        continue;
      }
      const closes =
        next === undefined ||
        next === COMMA ||
        next === LF ||
        (next === CR && (file[at + 2] === LF || (file[at + 2] === CR && file[at + 3] === LF)));
      if (!closes) return { end: at, brokenAt: openedAt };
      openedAt = null;
    } else if (byte === QUOTE && isFieldStart) {
      openedAt = at;
    } else if (byte === LF) {
      return { end: at + 1, brokenAt: null };
    }
    isFieldStart = byte === COMMA;
  }
  return { end: file.length, brokenAt: openedAt };
}

/** Behind the first line feed at or after `from`. */
function behindLineEnd(file: Buffer, from: number): number {
  const lineFeed = file.indexOf(LF, from);
  return lineFeed < 0 ? file.length : lineFeed + 1;
}
