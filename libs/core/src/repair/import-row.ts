import type { Damage, EditProblemCode, ImportedRow } from '#api/dead-letter-edits.js';
import { resolveDialect } from '../dataset/csv-dialect.js';
import {
  type CorrectedShape,
  type CorrectionFault,
  type FieldText,
  isFault,
  splitCsv,
} from './correct-record.js';
import { csvField } from './csv-field-text.js';
import {
  canonicalJson,
  exportedNames,
  exportedRecord,
  fieldsOfJson,
  importedText,
  NULL_TEXT,
  topMembers,
} from './export-rows.js';
import { currentBytes, currentColumns, type OpenDeadLetter } from './open-dead-letters.js';
import { damageOf } from './spreadsheet-damage.js';

/** What a row of an edited export makes of its dead letter. */
export interface ImportedRecord {
  /** Null where nothing changed. */
  readonly bytes: Buffer | null;
  readonly damages: readonly { readonly code: Damage; readonly field: string }[];
}

export interface ImportFault {
  readonly reason: EditProblemCode;
  readonly message: string;
  readonly field: string | null;
}

type Letter = Pick<OpenDeadLetter, 'bytes' | 'columns' | 'edit'>;

/**
 * Compares a row with what its dead letter would be exported as now; what differs is the correction. PURE.
 *
 * - IO1: a field whose cell is as exported keeps its bytes, so that a row without a change is none.
 * - IO2: a cell below a column that its record does not have says nothing while it is empty, and is refused otherwise.
 */
export function importRow(
  letter: Letter,
  row: ImportedRow,
  shape: CorrectedShape,
): ImportedRecord | ImportFault {
  if (shape.format === 'ndjson') return importJson(letter, row);
  const fields =
    row.fields ?? (row.record === undefined ? null : fieldsOfJson(row.record, nullTextOf(shape) ?? ''));
  const whole = row.fields === undefined && fields !== null ? undefined : row.record;
  return importCsv(
    letter,
    { fields: fields ?? {}, record: whole ?? '', isJson: row.fields === undefined },
    shape,
  );
}

function importJson(letter: Letter, { record, fields }: ImportedRow): ImportedRecord | ImportFault {
  if (fields !== undefined || record === undefined)
    return fault('NO_RECORD', 'records of this dataset are JSON: import an export in NDJSON');
  const current = currentBytes(letter).toString();
  const before = canonicalJson(current);
  if (record === current || (before !== null && before === canonicalJson(record))) return UNCHANGED;
  const then = new Map(topMembers(current)?.map(({ name, text }) => [name, shown(text)]) ?? []);
  const damages = (topMembers(record) ?? []).flatMap(({ name, text }) => {
    const code = damageOf(then.get(name) ?? '', shown(text));
    return code === null ? [] : [{ code, field: name }];
  });
  return { bytes: Buffer.from(record), damages };
}

function shown(json: string): string {
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}

interface CsvRow {
  readonly fields: Readonly<Record<string, string>>;
  readonly record: string;
  /** Its values are those of JSON, and not cells. */
  readonly isJson: boolean;
}

function importCsv(letter: Letter, row: CsvRow, shape: CorrectedShape): ImportedRecord | ImportFault {
  const exported = exportedRecord(letter, shape);
  const columns = currentColumns(letter);
  const names = exportedNames(columns);
  const foreign = Object.keys(row.fields).find((name) => !names.includes(name) && row.fields[name] !== '');
  if (foreign !== undefined) return fault('FIELD_UNKNOWN', 'its record has no such field', foreign);
  const isWhole =
    row.record !== '' && row.record !== exported.record && row.record !== currentBytes(letter).toString();
  const { changes, damages } = changesOf(exported.fields, names, row, nullTextOf(shape));
  if (isWhole && changes.size > 0)
    return fault('TWO_CORRECTIONS', 'its fields and its _record were both changed: change one of them');
  if (isWhole) return { bytes: Buffer.from(importedText(row.record)), damages: [] };
  if (changes.size === 0) return UNCHANGED;
  const bytes =
    exported.fields === null ? written(names, row, shape) : corrected(letter, columns, changes, shape);
  return Buffer.isBuffer(bytes) ? { bytes, damages } : { ...bytes, field: null };
}

function changesOf(
  before: ReadonlyMap<string, string> | null,
  names: readonly string[],
  { fields, isJson }: CsvRow,
  nullText: string | null,
): { changes: Map<number, FieldText>; damages: { code: Damage; field: string }[] } {
  const changes = new Map<number, FieldText>();
  const damages: { code: Damage; field: string }[] = [];
  for (const [place, name] of names.entries()) {
    const cell = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const exported = before?.get(name) ?? '';
    if (cell === undefined || cell === exported) continue;
    const then = importedText(exported);
    const text = isJson ? cell : importedText(cell);
    // A spreadsheet may swallow the apostrophe that keeps a cell from being a formula.
    if (text === then) continue;
    const code = damageOf(then, text);
    if (code !== null) damages.push({ code, field: name });
    changes.set(place, text === nullText ? null : text);
  }
  return { changes, damages };
}

function corrected(
  letter: Letter,
  columns: readonly string[],
  changes: ReadonlyMap<number, FieldText>,
  shape: CorrectedShape,
): Buffer | CorrectionFault {
  const split = splitCsv(currentBytes(letter), columns, shape.csv);
  return isFault(split) ? split : split.write(changes);
}

/** A record whose fields could not be separated, made of those that were filled in. */
function written(
  names: readonly string[],
  { fields }: CsvRow,
  { csv }: CorrectedShape,
): Buffer | CorrectionFault {
  const dialect = resolveDialect(csv);
  const parts: string[] = [];
  for (const [place, name] of names.entries()) {
    const text = importedText(Object.hasOwn(fields, name) ? (fields[name] ?? '') : '');
    const field = csvField(dialect.backslash && text === NULL_TEXT ? null : text, dialect, {
      quoted: false,
      first: place === 0,
    });
    if (typeof field !== 'string') return field;
    parts.push(field);
  }
  return Buffer.from(parts.join(String.fromCharCode(dialect.delimiter)));
}

/** Only dialects with backslashes distinguish null from nothing. */
function nullTextOf({ csv }: CorrectedShape): string | null {
  return resolveDialect(csv).backslash ? NULL_TEXT : null;
}

const UNCHANGED: ImportedRecord = { bytes: null, damages: [] };

function fault(reason: EditProblemCode, message: string, field: string | null = null): ImportFault {
  return { reason, message, field };
}
