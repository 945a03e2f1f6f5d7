/** Records of generated files as bytes: CSV by a dataset's dialect and encoding, or NDJSON. PURE. */
import { sourcesOfOrigin } from '../dataset/columns.js';
import type { CsvDialect } from '../dataset/csv-dialect.js';
import type { Dataset } from '../dataset/dataset.js';
import type { ContractPlan } from '../record/compile/contract-plan.js';
import { withMarker } from '../record/compile/delete-cells.js';
import { encoderOf } from './encode-text.js';

export interface FieldValue {
  readonly text: string;
  /** In NDJSON the text is JSON itself. */
  readonly isJson: boolean;
  /** PostgreSQL type of the column: numbers and booleans are no strings in JSON. */
  readonly type: string;
}

/** Source name → its value, or the rows of a child. */
export type FieldValues = Map<string, FieldValue | null | FieldValues[]>;

export interface RecordWriter {
  /** What stands before the first record. */
  readonly head: Buffer;
  readonly record: (values: FieldValues, children: ReadonlyMap<string, FieldValues[]>) => Buffer;
}

export function csvWriter(
  { csv = {}, encoding }: Pick<Dataset, 'csv' | 'encoding'>,
  plan: ContractPlan,
): RecordWriter {
  const { delimiter = ',', quote = '"', columns, skipLinesStartingWith = [] } = csv;
  const encode = encoderOf(encoding ?? 'utf-8');
  const names = columns ?? columnNames(plan);
  const field = (text: string): string =>
    [delimiter, quote, '\n', '\r', '\\'].some((mark) => mark !== null && text.includes(mark))
      ? enclosed(text, csv)
      : text;
  const line = (fields: readonly string[]): Buffer => {
    const [first = '', ...others] = fields.map(field);
    const text = [first, ...others].join(delimiter);
    // What begins as a comment does would be skipped.
    const isComment = quote !== null && skipLinesStartingWith.some((start) => text.startsWith(start));
    const written = isComment ? [enclosed(fields[0] ?? '', csv), ...others].join(delimiter) : text;
    return encode(`${written}\n`);
  };
  return {
    head: columns === undefined ? line(names) : Buffer.alloc(0),
    record: (values) =>
      line(
        names.map((name) => {
          const value = values.get(name);
          return value === undefined || value === null || Array.isArray(value) ? '' : value.text;
        }),
      ),
  };
}

/** In quotes; without them behind backslashes, or as it is where there are none either. */
function enclosed(text: string, { delimiter = ',', quote = '"', escape = 'doubled' }: CsvDialect): string {
  const escaped = escape === 'backslash' ? text.replaceAll('\\', '\\\\') : text;
  if (quote !== null) return quote + escaped.replaceAll(quote, quote + quote) + quote;
  if (escape === 'doubled') return text;
  return escaped.replaceAll(delimiter, `\\${delimiter}`).replaceAll('\n', '\\n').replaceAll('\r', '\\r');
}

/** Every name that the contract reads, in the order of its columns. */
function columnNames(plan: ContractPlan): string[] {
  const { columns, children } = withMarker(plan);
  const slots = children.flatMap(({ options }) =>
    'slots' in options ? options.slots.flatMap((slot) => Object.values(slot)) : [],
  );
  return [...new Set([...columns.flatMap(({ origin }) => sourcesOfOrigin(origin)), ...slots])];
}

export function jsonWriter(): RecordWriter {
  return {
    head: Buffer.alloc(0),
    record: (values, children) => Buffer.from(`${JSON.stringify(objectOf(values, children))}\n`),
  };
}

type JsonObject = Record<string, unknown>;

function objectOf(values: FieldValues, children: ReadonlyMap<string, FieldValues[]>): JsonObject {
  const object = emptyObject();
  for (const [path, value] of values) set(object, path, Array.isArray(value) ? rowsOf(value) : jsonOf(value));
  for (const [path, rows] of children) set(object, path, rowsOf(rows));
  return object;
}

function rowsOf(rows: readonly FieldValues[]): unknown[] {
  return rows.map((row) =>
    row.size === 1 && row.has('') ? jsonOf(row.get('') as FieldValue | null) : objectOf(row, new Map()),
  );
}

function jsonOf(value: FieldValue | null): unknown {
  if (value === null) return null;
  const { text, isJson, type } = value;
  const isPlain = /^(bigint|integer|smallint|numeric|double precision|boolean)/.test(type);
  if (!isJson && !isPlain) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Without the names that every object has: a field may have any name. */
function emptyObject(): JsonObject {
  return Object.create(null) as JsonObject;
}

/** Makes the objects on the way. */
function set(object: JsonObject, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  let at = object;
  for (const name of names) at = (at[name] ??= emptyObject()) as JsonObject;
  at[last] = value;
}
