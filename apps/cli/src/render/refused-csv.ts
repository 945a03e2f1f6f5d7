import type { DeadLetterView } from '#api/dead-letters.js';
import { plainCell } from '#common/text/plain-text.js';
import type { CsvDialect } from '#core/dataset/csv-dialect.js';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import { splitRecord } from '#core/record/split-record.js';
import { reasonText } from './reason-text.js';

/**
 * Refused records as a CSV that opens in a spreadsheet. PURE.
 *
 * - CV1: UTF-8 with a byte order mark (without it, Excel reads its own code page), CRLF, RFC 4180 quotes.
 * - CV2: the file's own columns in their order, then `line`, `codes`, `reasons` and `raw`.
 * - CV3: a record that cannot be cut into these columns stands whole in `raw`, and its columns are empty.
 * - CV4: no cell can be taken for a formula: one that begins like one gets a leading apostrophe, which
 *   spreadsheets show or swallow, but never calculate (OWASP, "CSV Injection").
 * - CV5: no cell can steer the terminal that the file is shown on: control characters stand as `\\u001b` and the like.
 */
export const BYTE_ORDER_MARK = '\ufeff';

const OWN_COLUMNS = ['line', 'codes', 'reasons', 'raw'] as const;

export function csvHeader(columns: readonly string[]): string {
  return csvLine([...columns, ...OWN_COLUMNS]);
}

/**
 * @param columns of the header; a dead letter of a file with other columns is fitted in by name
 * @param text the whole record, without its line end
 * @param csv how the records of its dataset are written (`Dataset.csv`)
 */
export function csvRow(
  columns: readonly string[],
  letter: DeadLetterView,
  text: string,
  csv?: CsvDialect,
): string {
  const cells = cellsOf(letter, text, csv);
  const byName = new Map(letter.columns.map((name, i) => [name, cells?.[i] ?? '']));
  const fits = cells !== undefined && letter.columns.every((name) => columns.includes(name));
  const reasons = letter.findings.map(reasonText);
  return csvLine([
    ...columns.map((name) => (fits ? (byName.get(name) ?? '') : '')),
    String(letter.line),
    letter.codes.join(' '),
    reasons.join('; '),
    fits ? '' : text,
  ]);
}

/** Broken quoting must not be repaired by guessing, and of an oversized record only the beginning is there. */
const NEVER_CUT: readonly string[] = [
  GENERAL_FINDING_CODES.MALFORMED_ROW,
  GENERAL_FINDING_CODES.RECORD_TOO_LARGE,
];

/** The record's fields, or undefined unless it has exactly one for each column (CV3). */
function cellsOf(
  letter: DeadLetterView,
  text: string,
  csv: CsvDialect | undefined,
): readonly string[] | undefined {
  if (letter.columns.length === 0 || letter.codes.some((code) => NEVER_CUT.includes(code))) return undefined;
  const fields = splitRecord(Buffer.from(text), csv);
  return fields?.length === letter.columns.length ? fields.map((field) => field ?? '') : undefined;
}

function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => quoted(defused(plainCell(cell)))).join(',')}\r\n`;
}

/** Full-width signs count too: spreadsheets of East Asian locales take them for the plain ones. Blanks before them do not help. */
const FORMULA = /^\s*[=+\-@\t\r\n＝＋－＠]/;

/** CV4 */
export function defused(cell: string): string {
  return FORMULA.test(cell) ? `'${cell}` : cell;
}

function quoted(cell: string): string {
  return /[",\r\n;]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
