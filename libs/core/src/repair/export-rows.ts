import { ID_COLUMN, type ImportedRow, REASONS_COLUMN, RECORD_COLUMN } from '#api/dead-letter-edits.js';
import { plainCell } from '#common/text/plain-text.js';
import type { Finding } from '../finding/finding.js';
import { isFault, splitCsv, type CorrectedShape, type FieldText } from './correct-record.js';
import { isJson } from './correct-json.js';
import { currentBytes, currentColumns, type OpenDeadLetter } from './open-dead-letters.js';
import { sendableColumns } from './sendable-columns.js';

/**
 * Dead letters as rows that people correct and that find their dead letters again. PURE.
 *
 * - ER1: the first columns are `_dead_letter` (the id) and `_reasons`; then the record's fields as they are now, corrections
 *   included; in a CSV the last is `_record`, which has the whole record where its fields cannot be separated.
 * - ER2: a row that is imported as it was exported changes nothing (`unchanged` cells are compared with what is exported).
 * - ER3: CSV: UTF-8 with a byte order mark, CRLF, RFC 4180. No cell can be taken for a formula: one that begins like one has
 *   one more apostrophe before it, which the import takes away. No cell can steer a terminal.
 */
export const BYTE_ORDER_MARK = '\ufeff';

/** The columns of several lists, each once, in the order of the first list that has it. */
export function exportedColumns(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flatMap((list) => exportedNames(list)))];
}

/** Every column has a name of its own, also where its file gave it none. */
export function exportedNames(columns: readonly string[]): readonly string[] {
  return sendableColumns(columns) ?? columns;
}

export function csvExportHeader(columns: readonly string[]): string {
  return BYTE_ORDER_MARK + csvLine([ID_COLUMN, REASONS_COLUMN, ...columns, RECORD_COLUMN]);
}

/** @param columns of the header */
export function csvExportRow(
  columns: readonly string[],
  letter: OpenDeadLetter,
  shape: CorrectedShape,
): string {
  const { fields, record } = exportedRecord(letter, shape);
  const cells = columns.map((name) => fields?.get(name) ?? '');
  return csvLine([letter.id, exportedCell(reasonsOf(letter.findings)), ...cells, record ?? '']);
}

/** A record as its row shows it: its fields by exported name, or the whole of it. */
export interface ExportedRecord {
  /** As cells. */
  readonly fields: ReadonlyMap<string, string> | null;
  readonly record: string | null;
}

export function exportedRecord(
  letter: Pick<OpenDeadLetter, 'bytes' | 'columns' | 'edit'>,
  shape: CorrectedShape,
): ExportedRecord {
  const bytes = currentBytes(letter);
  const columns = currentColumns(letter);
  const split = shape.format === 'csv' ? splitCsv(bytes, columns, shape.csv) : null;
  if (split === null || isFault(split)) return { fields: null, record: exportedCell(bytes.toString()) };
  const names = exportedNames(columns);
  return {
    fields: new Map(names.map((name, place) => [name, exportedCell(exportedText(split.value(place)))])),
    record: null,
  };
}

/** What a null is shown as: how dialects that have one write it. */
function exportedText(value: FieldText): string {
  return value ?? NULL_TEXT;
}
export const NULL_TEXT = '\\N';

/** `{"_dead_letter":…,"_reasons":[…],…}`, the record's own members as they are written. */
export function ndjsonExportRow(letter: OpenDeadLetter, shape: CorrectedShape): string {
  const reasons = letter.findings.filter(({ severity }) => severity === 'error').map(reasonText);
  const own = `"${ID_COLUMN}":${JSON.stringify(letter.id)},"${REASONS_COLUMN}":${JSON.stringify(reasons)}`;
  return `{${own}${membersOf(letter, shape)}}\n`;
}

function membersOf(letter: OpenDeadLetter, shape: CorrectedShape): string {
  const bytes = currentBytes(letter);
  if (shape.format === 'csv') {
    const columns = currentColumns(letter);
    const split = splitCsv(bytes, columns, shape.csv);
    if (!isFault(split))
      return exportedNames(columns)
        .map((name, place) => `,${JSON.stringify(name)}:${JSON.stringify(split.value(place))}`)
        .join('');
  } else if (isJson(bytes)) {
    const text = oneLine(bytes.toString()).trim();
    if (text.startsWith('{') && text.endsWith('}')) {
      const members = text.slice(1, -1).trim();
      return members === '' ? '' : `,${members}`;
    }
  }
  return `,"${RECORD_COLUMN}":${JSON.stringify(bytes.toString())}`;
}

/** Line breaks of JSON stand between its tokens only. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ');
}

/**
 * A line of an NDJSON export as a row: what is not Sluice's own is the record.
 * @returns null where the line is no JSON object, or has no id
 */
export function importedJsonRow(line: string): ImportedRow | null {
  const members = topMembers(line);
  if (members === null) return null;
  const own = new Map(members.map(({ name, text }) => [name, text]));
  const id = textOf(own.get(ID_COLUMN));
  if (id === null) return null;
  const whole = own.get(RECORD_COLUMN);
  const rest = members.filter(({ name }) => ![ID_COLUMN, REASONS_COLUMN, RECORD_COLUMN].includes(name));
  if (whole !== undefined && rest.length === 0) return { id, record: textOf(whole) ?? whole };
  return { id, record: `{${rest.map(({ source }) => source).join(',')}}` };
}

function textOf(json: string | undefined): string | null {
  const value: unknown = json === undefined ? null : JSON.parse(json);
  return typeof value === 'string' ? value : null;
}

/** Values of an NDJSON row of CSV records: texts as they are, `null` as the given text. */
export function fieldsOfJson(record: string, nullText: string): Record<string, string> | null {
  const members = topMembers(record);
  if (members === null) return null;
  return Object.fromEntries(
    members.map(({ name, text }) => [name, text === 'null' ? nullText : (textOf(text) ?? text)]),
  );
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** The members of a JSON object, as they are written; null where it is none. */
export function topMembers(
  text: string,
): readonly { readonly name: string; readonly text: string; readonly source: string }[] | null {
  const isObject = /^\s*\{/.test(text) && isJson(Buffer.from(text));
  if (!isObject) return null;
  const members: { name: string; text: string; source: string }[] = [];
  let depth = 0;
  let name: string | null = null;
  let nameStart = 0;
  let valueStart = -1;
  const close = (end: number): void => {
    if (name !== null && valueStart !== -1)
      members.push({
        name,
        text: text.slice(valueStart, end).trim(),
        source: text.slice(nameStart, end).trim(),
      });
    name = null;
    valueStart = -1;
  };
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') {
      depth -= 1;
      if (depth === 0) close(index);
    } else if (depth === 1 && token === ',') close(index);
    else if (depth === 1 && token === ':' && valueStart === -1) valueStart = index + 1;
    else if (depth === 1 && name === null) {
      name = JSON.parse(token) as string;
      nameStart = index;
    }
  }
  return members;
}

/** The same text for the same JSON, however its blanks and its texts are written; numbers as they stand. */
export function canonicalJson(text: string): string | null {
  if (!isJson(Buffer.from(text))) return null;
  const tokens: string[] = [];
  for (const { 0: token } of text.matchAll(TOKENS))
    tokens.push(token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token);
  return tokens.join('');
}

function reasonsOf(findings: readonly Finding[]): string {
  return findings
    .filter(({ severity }) => severity === 'error')
    .map(reasonText)
    .join('; ');
}

export function reasonText({ code, field, message }: Finding): string {
  const said = field === null || message.includes(field) ? message : `${field}: ${message}`;
  return said === '' ? code : said;
}

function csvLine(cells: readonly string[]): string {
  return `${cells.map(quoted).join(',')}\r\n`;
}

function quoted(cell: string): string {
  return /[",\r\n;]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** Full-width signs count too: spreadsheets of East Asian locales take them for the plain ones. */
const FORMULA = /^'*\s*[=+\-@\t\r\n＝＋－＠]/;
const NEGATIVE_NUMBER = /^-\d+([.,]\d+)?$/;

/** ER3 */
export function exportedCell(value: string): string {
  const plain = plainCell(value);
  return FORMULA.test(plain) && !NEGATIVE_NUMBER.test(plain) ? `'${plain}` : plain;
}

/** What a changed cell says. */
export function importedText(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell) ? cell.slice(1) : cell;
}
