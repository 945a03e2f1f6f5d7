/**
 * Corrects single fields of a refused record, on its bytes. PURE.
 *
 * - CO1: a field that is not corrected keeps its bytes, quotes, blanks and line breaks inside included, and its place. What is
 *   around the fields of a JSON record stays as well.
 * - CO2: the corrected field reads as the value that was given, in the dataset's dialect, and the record has as many fields as
 *   before; or the correction is refused, and why.
 * - CO3: a record whose fields cannot be separated is not corrected by field: broken quotes, a wrong number of fields, no JSON.
 */
import { resolveDialect, type ResolvedDialect } from '../dataset/csv-dialect.js';
import type { Dataset } from '../dataset/dataset.js';
import { CsvFields, NULL_FIELD, PLAIN_FIELD, rewrite } from '../record/csv-fields.js';
import { RecordBounds } from '../record/record-bounds.js';
import { correctJson } from './correct-json.js';
import { csvField } from './csv-field-text.js';
import { sendableColumns } from './sendable-columns.js';

export const CORRECTION_FAULTS = [
  'MALFORMED',
  'FIELD_UNKNOWN',
  'FIELD_AMBIGUOUS',
  'VALUE_UNWRITABLE',
] as const;
export type CorrectionFaultReason = (typeof CORRECTION_FAULTS)[number];

/** Why a record is not corrected; without contents of it. */
export interface CorrectionFault {
  readonly reason: CorrectionFaultReason;
  readonly message: string;
}

/** Null is written as the format's null where it has one: `\N` with backslashes, `null` in JSON; else as nothing. */
export type FieldText = string | null;

/** A field that was found: its values, one unless its path leads to several elements, and how to change them. */
export interface FoundField {
  readonly values: readonly FieldText[];
  /** @param values in place of those found, as many */
  write(values: readonly FieldText[]): Buffer | CorrectionFault;
}

export type CorrectedShape = Pick<Dataset, 'format' | 'csv'>;

export function isFault(answer: object): answer is CorrectionFault {
  return 'reason' in answer && 'message' in answer;
}

/**
 * @param field as findings name it: the column of a CSV, a path in JSON (`items[2].price`; `items[].price` for all elements)
 * @param columns in file order
 */
export function findField(
  { format, csv }: CorrectedShape,
  bytes: Buffer,
  columns: readonly string[],
  field: string,
): FoundField | CorrectionFault {
  if (format === 'ndjson') return correctJson(bytes, field);
  const record = splitCsv(bytes, columns, csv);
  if (isFault(record)) return record;
  const place = placeOf(columns, field);
  if (typeof place !== 'number') return place;
  return {
    values: [record.value(place)],
    write: ([value = null]) => record.write(new Map([[place, value]])),
  };
}

/** The place of a column: by its own name, or by the one that it has in an export (`sendableColumns`). */
function placeOf(columns: readonly string[], field: string): number | CorrectionFault {
  const place = columns.indexOf(field);
  if (place === -1 || field === '') {
    const exported = sendableColumns(columns)?.indexOf(field) ?? -1;
    return exported === -1 || field === ''
      ? { reason: 'FIELD_UNKNOWN', message: 'the record has no such field' }
      : exported;
  }
  if (columns.indexOf(field, place + 1) === -1) return place;
  return { reason: 'FIELD_AMBIGUOUS', message: 'the record has two fields of this name' };
}

/** A CSV record whose fields can be separated. */
export interface CsvRecord {
  readonly fields: number;
  value(place: number): FieldText;
  /** @param changes by place */
  write(changes: ReadonlyMap<number, FieldText>): Buffer | CorrectionFault;
}

/** @param columns null: any number of fields will do */
export function splitCsv(
  bytes: Buffer,
  columns: readonly string[] | null,
  csv: Dataset['csv'],
): CsvRecord | CorrectionFault {
  const dialect = resolveDialect(csv);
  if (!isWellFormed(bytes, dialect))
    return { reason: 'MALFORMED', message: 'its quotes are broken, so its fields cannot be separated' };
  const split = fieldsFor(dialect, bytes.length + 1);
  const count = split.split(bytes, 0, bytes.length);
  if (columns !== null && count !== columns.length)
    return {
      reason: 'MALFORMED',
      message: `it has ${count} fields, and its source ${columns.length} columns`,
    };
  const starts = split.starts.slice(0, count);
  const ends = split.ends.slice(0, count);
  const marks = split.marks.slice(0, count);
  return new SplitRecord(bytes, dialect, { starts, ends, marks });
}

class SplitRecord implements CsvRecord {
  constructor(
    private readonly bytes: Buffer,
    private readonly dialect: ResolvedDialect,
    private readonly found: Pick<CsvFields, 'starts' | 'ends' | 'marks'>,
  ) {}

  get fields(): number {
    return this.found.starts.length;
  }

  value(place: number): FieldText {
    const [start = 0, end = 0, mark = PLAIN_FIELD] = [
      this.found.starts[place],
      this.found.ends[place],
      this.found.marks[place],
    ];
    if (mark === NULL_FIELD) return null;
    if (mark === PLAIN_FIELD) return this.bytes.toString('utf8', start, end);
    const value = Buffer.alloc(end - start);
    return value.toString('utf8', 0, rewrite(this.bytes, start, end, this.dialect, mark, value, 0));
  }

  write(changes: ReadonlyMap<number, FieldText>): Buffer | CorrectionFault {
    const parts: Buffer[] = [];
    for (let place = 0; place < this.fields; place += 1) {
      if (place > 0) parts.push(Buffer.of(this.dialect.delimiter));
      const raw = this.rawField(place);
      const change = changes.get(place);
      if (change === undefined) parts.push(raw);
      else {
        const text = csvField(change, this.dialect, {
          quoted: raw[0] === this.dialect.quote,
          first: place === 0,
        });
        if (typeof text !== 'string') return text;
        parts.push(Buffer.from(text));
      }
    }
    return Buffer.concat(parts);
  }

  /** With its quotes. */
  private rawField(place: number): Buffer {
    const { bytes, dialect, found } = this;
    let start = found.starts[place] ?? 0;
    let end = found.ends[place] ?? 0;
    // A quote right before the first byte is the field's own: a bare field begins behind a delimiter.
    if (start > 0 && dialect.quote !== -1 && bytes[start - 1] === dialect.quote) {
      start -= 1;
      end += 1;
    }
    return bytes.subarray(start, Math.min(end, bytes.length));
  }
}

function isWellFormed(bytes: Buffer, dialect: ResolvedDialect): boolean {
  if (bytes.length === 0) return true;
  const bounds = new RecordBounds(dialect, Number.POSITIVE_INFINITY);
  bounds.feed(bytes, true);
  return bounds.next() === 'record' && !bounds.malformed && !bounds.skipped && bounds.end === bytes.length;
}

/** Splitters by dialect, each as large as the largest record so far. */
const splitters = new WeakMap<ResolvedDialect, { readonly capacity: number; readonly fields: CsvFields }>();

function fieldsFor(dialect: ResolvedDialect, wanted: number): CsvFields {
  const known = splitters.get(dialect);
  if (known !== undefined && known.capacity >= wanted) return known.fields;
  const capacity = Math.max(1024, wanted);
  const fields = new CsvFields(capacity, dialect);
  splitters.set(dialect, { capacity, fields });
  return fields;
}
