import type { CsvDialect, RecordShape } from '../../../libs/core/src/dataset/csv-dialect.js';

/** One record of a source as libs/core/src/record/README.md words it. */
export interface PlainRecord {
  readonly start: number;
  /** Behind its line end. */
  readonly end: number;
  /** From 1. */
  readonly line: number;
  readonly isMalformed: boolean;
  readonly isTooLarge: boolean;
  /** A comment or a footer. */
  readonly isSkipped: boolean;
}

/** The rule of record bounds, character by character, for tests to compare the splitter with. */
export function plainRecords(
  source: Buffer,
  { format, csv = {} }: RecordShape,
  maxRecordBytes: number,
  lineEnd: 'lf' | 'cr' = 'lf',
): PlainRecord[] {
  // Swapped, a file of CRs is one of LFs: CR CR LF has no meaning there, so what CR was must not look like a CR.
  const latin = source.toString('latin1');
  const text = lineEnd === 'lf' ? latin : latin.replaceAll('\n', 'n').replaceAll('\r', '\n');
  const records: PlainRecord[] = [];
  let line = 1;
  for (let start = 0; start < text.length;) {
    const isSkipped =
      format === 'csv' &&
      (csv.skipLinesStartingWith ?? []).some((begin) =>
        text.startsWith(Buffer.from(begin).toString('latin1'), start),
      );
    const rule = isSkipped
      ? { end: behindLineFeed(text, start) }
      : walk(text, start, format === 'csv' ? csv : { quote: null }, maxRecordBytes);
    let end = 'end' in rule ? rule.end : behindLineFeed(text, rule.from);
    const isTooLarge = end - start > maxRecordBytes;
    if (isTooLarge) end = behindLineFeed(text, start + maxRecordBytes);
    records.push({ start, end, line, isMalformed: !('end' in rule), isTooLarge, isSkipped });
    line += text.slice(start, end).split('\n').length - 1;
    start = end;
  }
  return records;
}

/** @returns where the record ends by the rules, or from where on the line end counts that ends it by force */
function walk(
  text: string,
  start: number,
  { delimiter = ',', quote = '"', escape = 'doubled' }: CsvDialect,
  maxRecordBytes: number,
): { end: number } | { from: number } {
  let open = -1;
  let atFieldStart = true;
  for (let at = start; at < text.length; at += 1) {
    if (at - start >= maxRecordBytes) return { from: open === -1 ? start + maxRecordBytes : open };
    const letter = text[at];
    if (escape === 'backslash' && letter === '\\') {
      at += /^\r{0,2}\n/.exec(text.slice(at + 1, at + 4))?.[0].length ?? 1;
      atFieldStart = false;
      continue;
    }
    if (open !== -1) {
      if (letter !== quote) continue;
      const behind = text.slice(at + 1);
      if (behind.startsWith(quote)) at += 1;
      else if (behind.startsWith(delimiter) || /^(\r{0,2}\n|$)/.test(behind.slice(0, 3))) open = -1;
      else return { from: open };
      continue;
    }
    if (letter === '\n') return { end: at + 1 };
    if (letter === quote && atFieldStart) open = at;
    atFieldStart = letter === delimiter;
  }
  return open === -1 ? { end: text.length } : { from: open };
}

function behindLineFeed(text: string, from: number): number {
  const lineFeed = text.indexOf('\n', from);
  return lineFeed === -1 ? text.length : lineFeed + 1;
}
