import { type ResolvedDialect, resolveDialect } from '../dataset/csv-dialect.js';
import type { Dataset } from '../dataset/dataset.js';
import { CsvFields, NULL_FIELD, PLAIN_FIELD, rewrite } from '../record/csv-fields.js';
import { JsonPaths, elementsOf } from '../record/compile/json-paths.js';
import { SHAPED_BYTES } from './value-shape.js';

/** How the records of a dataset are written; what is left out is guessed from the record. */
export type RecordFormat = Partial<Pick<Dataset, 'format' | 'csv'>>;

const QUOTE = 0x22;
const OPEN_ARRAY = 0x5b;
/** Between the names of fields that one column is joined from (`nameOfFields`). */
const JOINED_BY = ' + ';
const FIRST_CAPACITY = 64;
const MAX_KEPT_PATHS = 1_000;

/**
 * Reads one field out of a refused record, by the name that findings give it. PURE. Of a value only its beginning is
 * returned, SHAPED_BYTES at most.
 *
 * - FV1: CSV: the field below the column of this name, quotes and escapes taken away. NDJSON: the value at the path
 *   (`items[2].price`): a string's text, any other value as it stands.
 * - FV2: a record of any bytes gives an answer: what cannot be found is `''`.
 * - FV3: `date + time` is the values of both, joined the same way.
 */
export class FieldValues {
  private readonly fields = new Map<ResolvedDialect, CsvFields>();
  private readonly places = new WeakMap<readonly string[], Map<string, number>>();
  private readonly paths = new Map<string, JsonPaths>();

  /** @param columns in file order; empty for formats that name their fields in each record */
  valueOf(bytes: Buffer, field: string, columns: readonly string[], format: RecordFormat = {}): string {
    const isCsv = format.format === undefined ? columns.length > 0 : format.format === 'csv';
    const read = isCsv
      ? (name: string) => this.csvValue(bytes, this.placeOf(columns, name), resolveDialect(format.csv))
      : (name: string) => this.jsonValue(bytes, name);
    const whole = read(field);
    if (whole !== undefined || !field.includes(JOINED_BY)) return whole ?? '';
    const parts = field.split(JOINED_BY).map(read);
    return parts.every((part) => part === undefined) ? '' : parts.map((part) => part ?? '').join(JOINED_BY);
  }

  private placeOf(columns: readonly string[], name: string): number | undefined {
    let places = this.places.get(columns);
    if (places === undefined) {
      places = new Map();
      for (const [at, column] of columns.entries()) if (!places.has(column)) places.set(column, at);
      this.places.set(columns, places);
    }
    return places.get(name);
  }

  private csvValue(bytes: Buffer, place: number | undefined, dialect: ResolvedDialect): string | undefined {
    if (place === undefined) return undefined;
    const fields = this.fieldsFor(place, dialect);
    if (place >= fields.split(bytes, 0, bytes.length)) return undefined;
    const [start = 0, end = 0, mark = PLAIN_FIELD] = [
      fields.starts[place],
      fields.ends[place],
      fields.marks[place],
    ];
    if (mark === NULL_FIELD) return '';
    if (mark === PLAIN_FIELD) return bytes.toString('utf8', start, Math.min(end, start + SHAPED_BYTES));
    // An escape takes two bytes for one.
    const cut = Math.min(end, start + 2 * SHAPED_BYTES);
    const value = Buffer.alloc(cut - start);
    return value.toString('utf8', 0, rewrite(bytes, start, cut, dialect, mark, value, 0));
  }

  private fieldsFor(place: number, dialect: ResolvedDialect): CsvFields {
    const known = this.fields.get(dialect);
    if (known !== undefined && place < known.starts.length) return known;
    const fresh = new CsvFields(Math.max(FIRST_CAPACITY, place + 1), dialect);
    this.fields.set(dialect, fresh);
    return fresh;
  }

  private jsonValue(bytes: Buffer, field: string): string | undefined {
    // The walk below is for JSON only.
    if (!isJson(bytes)) return undefined;
    let start = 0;
    let end = bytes.length;
    for (const step of stepsOf(field)) {
      if (typeof step === 'number') {
        if (bytes[start] !== OPEN_ARRAY) return undefined;
        const bounds = elementsOf(bytes, start);
        if (step * 2 >= bounds.length) return undefined;
        [start, end] = [bounds[step * 2] ?? 0, bounds[step * 2 + 1] ?? 0];
      } else {
        const paths = this.pathsTo(step);
        paths.find(bytes, start);
        paths.release();
        if (paths.ends[0] === -1) return undefined;
        [start, end] = [paths.starts[0] ?? 0, paths.ends[0] ?? 0];
      }
    }
    if (bytes[start] === QUOTE)
      return (JSON.parse(bytes.toString('utf8', start, end)) as string).slice(0, SHAPED_BYTES);
    return bytes.toString('utf8', start, Math.min(end, start + SHAPED_BYTES));
  }

  private pathsTo(path: string): JsonPaths {
    const known = this.paths.get(path);
    if (known !== undefined) return known;
    if (this.paths.size === MAX_KEPT_PATHS) this.paths.clear();
    const fresh = new JsonPaths([path]);
    this.paths.set(path, fresh);
    return fresh;
  }
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString());
    return true;
  } catch {
    return false;
  }
}

/** `items[2].price` → `items`, 2, `price` */
function stepsOf(field: string): (string | number)[] {
  return field
    .split(/\[(\d{1,9})\]\.?/)
    .map((part, at) => (at % 2 === 1 ? Number(part) : part))
    .filter((part) => part !== '');
}
