import { parse } from 'csv-parse/sync';
import type { HeadFinding, Prologue } from '#core/dataset/dataset.js';
import { bomLength, fileError, findWrongEncoding, findWrongKindOfFile } from '#core/dataset/file-head.js';
import type { Finding } from '#core/finding/finding.js';

/**
 * Reads what an extract begins with: header line, date line, and every wrong layout met in the wild
 * (README sections 2 and 3). PURE.
 *
 * - PL1: a wrong file gets at least one `error` that says what was found and what to do.
 * - PL2: columns are known by name, in any order; none may be missing, unknown or repeated, because a
 *   layout that is only nearly right would load wrong values unnoticed.
 * - PL3: the date line is known by its shape alone, and is the first line behind the header that is not blank; without one
 *   the first record is on line 2.
 */

/** The columns of README section 2, in the publisher's order. */
export const SOURCE_COLUMNS = [
  '營業地址',
  '統一編號',
  '總機構統一編號',
  '營業人名稱',
  '資本額',
  '設立日期',
  '組織別名稱',
  '使用統一發票',
  '行業代號',
  '名稱',
  '行業代號1',
  '名稱1',
  '行業代號2',
  '名稱2',
  '行業代號3',
  '名稱3',
] as const;

const LF = 0x0a;
const CR = 0x0d;
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const DATE_LINE = /^(\d{2})-([A-Z]{3})-(\d{2})$/;
const PREAMBLE = /^\s*"?\s*(備註|檔案產生日期)\s*[:：]/;
const OTHER_SEPARATORS = [
  [';', 'semicolons'],
  ['\t', 'tabs'],
  ['|', 'vertical bars'],
] as const;

/** As `Dataset.prologue`. */
export function readPrologue(head: Buffer, complete: boolean): Prologue | undefined {
  const wrongKind = findWrongKindOfFile(head, complete);
  if (wrongKind === 'undecided') return undefined;
  if (wrongKind) return refuse([wrongKind]);

  const header = lineAt(head, bomLength(head));
  if (!header.ended && !complete) return undefined;
  const wrongEncoding = findWrongEncoding(header.bytes, '統一編號');
  if (wrongEncoding) return refuse([wrongEncoding]);
  const headerText = header.bytes.toString();
  const outdated = findOldLayout(headerText);
  if (outdated) return refuse([outdated]);
  const columns = splitLine(headerText);
  if (!columns) {
    return refuse([
      fileError(
        'HEADER_UNREADABLE',
        'Line 1 has a quote that is never closed: it must hold the column names.',
      ),
    ]);
  }
  const wrongColumns = findWrongColumns(columns);
  if (wrongColumns.length > 0) return refuse(wrongColumns);

  const second = firstNonBlankLine(head, header.next);
  if (!second?.ended && !complete) return undefined;
  const number = 2 + (second?.blanks ?? 0);
  const mixed = second && findHiddenRecord(second.bytes, number);
  if (mixed) return refuse([mixed]);
  const dateLine = second && readDateLine(second.bytes);
  const dataStart = dateLine ? second.next : header.next;

  const record = firstNonBlankLine(head, dataStart);
  if (!record?.ended && !complete) return undefined;
  // Blank lines are records, and skipped; what else there is, is found by the job's sums and not by a bound of bytes.
  if (dataStart === head.length) {
    return refuse([
      fileError(
        'FILE_WITHOUT_RECORDS',
        'The file holds a header and no record: check that the download was finished.',
      ),
    ]);
  }
  const separator = findOtherSeparator(record?.bytes.toString() ?? '');
  if (separator) return refuse([separatorError('The records are', separator)]);
  return {
    columns,
    context: dateLine?.isoDate ? { date: dateLine.isoDate } : {},
    dataStart,
    firstLine: dateLine ? number + 1 : 2,
    findings: dateLine && !dateLine.isoDate ? [badExtractDate(number)] : [],
  };
}

function refuse(findings: readonly HeadFinding[]): Prologue {
  return { columns: [], context: {}, dataStart: 0, firstLine: 1, findings };
}

interface Line {
  /** Without its line end. */
  readonly bytes: Buffer;
  /** Where the next line begins. */
  readonly next: number;
  /** False when the head stops before the line does. */
  readonly ended: boolean;
}

function lineAt(head: Buffer, start: number): Line {
  const lineFeed = head.indexOf(LF, start);
  if (lineFeed < 0) return { bytes: head.subarray(start), next: head.length, ended: false };
  let end = lineFeed;
  // CRLF, and CRLF that was translated once more.
  for (let returns = 0; returns < 2 && end > start && head[end - 1] === CR; returns += 1) end -= 1;
  return { bytes: head.subarray(start, end), next: lineFeed + 1, ended: true };
}

function firstNonBlankLine(head: Buffer, start: number): (Line & { blanks: number }) | undefined {
  let blanks = 0;
  for (let at = start; at < head.length; blanks += 1) {
    const line = lineAt(head, at);
    if (line.bytes.toString().trim() !== '') return { ...line, blanks };
    at = line.next;
  }
  return undefined;
}

/** @returns the trimmed fields (U+3000 and byte order marks count as blanks); undefined when a quote stays open */
function splitLine(line: string): string[] | undefined {
  try {
    // A line is one record, whatever stands in it: left to itself, csv-parse takes a CR for a line end.
    const [fields] = parse(line, { relax_quotes: true, record_delimiter: '\n' });
    return (fields ?? []).map((field) => field.trim());
  } catch {
    return undefined;
  }
}

/** README section 2.5: layouts of former years. */
function findOldLayout(header: string): Finding | undefined {
  const advice = 'This is an older layout: take the current file from the publisher.';
  const preamble = PREAMBLE.exec(header);
  if (preamble?.[1]) {
    return fileError(
      'LAYOUT_OUTDATED',
      `Line 1 is a preamble (${preamble[1]}) and not the column names. ${advice}`,
    );
  }
  const other = findOtherSeparator(header);
  if (other) return separatorError('The header is', other);
  if (header.includes('負責人姓氏')) {
    return fileError('LAYOUT_OUTDATED', `The header has the column 負責人姓氏. ${advice}`, '負責人姓氏');
  }
  if (!header.includes('營業地址') && /縣市|鄉鎮/.test(header)) {
    return fileError(
      'LAYOUT_OUTDATED',
      `The header has county and town in columns of their own instead of 營業地址. ${advice}`,
    );
  }
  if (/,\s*"?\s*行業代號\s*"?\s*,.*,\s*"?\s*行業代號\s*"?\s*(,|$)/.test(header)) {
    return fileError('LAYOUT_OUTDATED', `The header repeats 行業代號 without numbers. ${advice}`, '行業代號');
  }
  return undefined;
}

function findWrongColumns(columns: readonly string[]): Finding[] {
  const known: readonly string[] = SOURCE_COLUMNS;
  if (!columns.some((name) => known.includes(name))) {
    return [
      fileError(
        'HEADER_MISSING',
        `Line 1 holds none of the ${known.length} column names, so it is no header: check that the address names the data file.`,
      ),
    ];
  }
  const count = (name: string): number => columns.filter((column) => column === name).length;
  return [
    ...known
      .filter((name) => count(name) === 0)
      .map((name) =>
        fileError(
          'COLUMN_MISSING',
          `The header has no column ${name}: all ${known.length} are needed.`,
          name,
        ),
      ),
    ...known
      .filter((name) => count(name) > 1)
      .map((name) =>
        fileError('COLUMN_REPEATED', `The header has the column ${name} ${count(name)} times.`, name),
      ),
    ...columns.filter((name) => !known.includes(name)).map(unknownColumn),
  ];
}

const MAX_SHOWN_CHARACTERS = 40;

function unknownColumn(name: string): Finding {
  const shown = Array.from(name).slice(0, MAX_SHOWN_CHARACTERS).join('');
  const hint =
    name === '停業日期'
      ? 'it belongs to the file of suspended businesses, which is another data set'
      : 'only the columns of the published layout are taken, so that nothing is loaded wrongly';
  return fileError('COLUMN_UNKNOWN', `The header has a column "${shown}": ${hint}.`, shown);
}

/** A line without one comma that has another separator in every place where a comma belongs. */
function findOtherSeparator(line: string): string | undefined {
  if (line.includes(',')) return undefined;
  return OTHER_SEPARATORS.find(([mark]) => line.split(mark).length >= SOURCE_COLUMNS.length)?.[1];
}

function separatorError(what: string, separator: string): Finding {
  const advice = 'take the current file from the publisher';
  return fileError('SEPARATOR_WRONG', `${what} separated by ${separator} instead of commas: ${advice}.`);
}

/** A date line that ends with CR alone would take the first record with it. */
function findHiddenRecord(line: Buffer, number: number): HeadFinding | undefined {
  const end = line.indexOf(CR);
  if (end < 0 || !readDateLine(line.subarray(0, end))) return undefined;
  const advice = 'write the whole file with one kind of line end';
  const message = `Line ${number} ends with CR alone, and other lines end with LF: ${advice}.`;
  return { ...fileError('LINE_ENDS_MIXED', message), line: number };
}

/** README section 3. @returns undefined when the line is not a date line; without `isoDate` when it names no calendar date */
function readDateLine(line: Buffer): { isoDate: string | undefined } | undefined {
  const [first, ...rest] = splitLine(line.toString()) ?? [];
  const parts = DATE_LINE.exec(first ?? '');
  if (!parts || rest.some((field) => field !== '')) return undefined;
  const [, day = '', month = '', year = ''] = parts;
  const isoDate = `20${year}-${String(MONTHS.indexOf(month) + 1).padStart(2, '0')}-${day}`;
  const date = new Date(`${isoDate}T00:00:00Z`);
  const exists = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(isoDate);
  return { isoDate: exists ? isoDate : undefined };
}

function badExtractDate(line: number): HeadFinding {
  const message = `Line ${line} is a date line, but names no date of the calendar: data_source_date stays empty.`;
  return { code: 'BAD_EXTRACT_DATE', field: null, message, severity: 'warning', line };
}
