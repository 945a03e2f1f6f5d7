import type { SourceFormat } from '../../../libs/core/src/dataset/dataset.js';

/** One record of a source as libs/core/src/record/README.md words it. */
export interface PlainRecord {
  readonly start: number;
  /** Behind its line end. */
  readonly end: number;
  /** From 1. */
  readonly line: number;
  readonly isMalformed: boolean;
  readonly isTooLarge: boolean;
}

/** The rule of record bounds, character by character, for tests to compare the splitter with. */
export function plainRecords(
  source: Buffer,
  format: SourceFormat,
  maxRecordBytes: number,
  lineEnd: 'lf' | 'cr' = 'lf',
): PlainRecord[] {
  // Swapped, a file of CRs is one of LFs: CR CR LF has no meaning there, so what CR was must not look like a CR.
  const latin = source.toString('latin1');
  const text = lineEnd === 'lf' ? latin : latin.replaceAll('\n', 'n').replaceAll('\r', '\n');
  const records: PlainRecord[] = [];
  let line = 1;
  for (let start = 0; start < text.length;) {
    const rule = walk(text, start, format === 'csv', maxRecordBytes);
    let end = 'end' in rule ? rule.end : behindLineFeed(text, rule.from);
    const isTooLarge = end - start > maxRecordBytes;
    if (isTooLarge) end = behindLineFeed(text, start + maxRecordBytes);
    records.push({ start, end, line, isMalformed: !('end' in rule), isTooLarge });
    line += text.slice(start, end).split('\n').length - 1;
    start = end;
  }
  return records;
}

/** @returns where the record ends by the rules, or from where on the line end counts that ends it by force */
function walk(
  text: string,
  start: number,
  quoting: boolean,
  maxRecordBytes: number,
): { end: number } | { from: number } {
  let open = -1;
  let atFieldStart = true;
  for (let at = start; at < text.length; at += 1) {
    if (at - start >= maxRecordBytes) return { from: open === -1 ? at : open };
    const letter = text[at];
    if (open !== -1) {
      if (letter !== '"') continue;
      const behind = text.slice(at + 1);
      if (behind.startsWith('"')) at += 1;
      else if (/^(,|\r{0,2}\n|$)/.test(behind.slice(0, 3))) open = -1;
      else return { from: open };
      continue;
    }
    if (letter === '\n') return { end: at + 1 };
    if (quoting && letter === '"' && atFieldStart) open = at;
    atFieldStart = letter === ',';
  }
  return open === -1 ? { end: text.length } : { from: open };
}

function behindLineFeed(text: string, from: number): number {
  const lineFeed = text.indexOf('\n', from);
  return lineFeed === -1 ? text.length : lineFeed + 1;
}
