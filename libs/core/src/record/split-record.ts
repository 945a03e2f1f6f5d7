import { type CsvDialect, resolveDialect } from '../dataset/csv-dialect.js';
import { CsvFields, NULL_FIELD, PLAIN_FIELD, rewrite } from './csv-fields.js';
import { RecordBounds } from './record-bounds.js';

/**
 * The fields of one record, as strings. PURE. For a record here and there, such as a dead letter's: on the path of every
 * record nothing makes strings.
 * @param bytes without its line end
 * @returns null where it is no single well-formed record of the dialect
 */
export function splitRecord(bytes: Buffer, csv: CsvDialect | undefined): (string | null)[] | null {
  const dialect = resolveDialect(csv);
  const bounds = new RecordBounds(dialect, Number.POSITIVE_INFINITY);
  bounds.feed(bytes, true);
  const isOne =
    bounds.next() === 'record' && !bounds.malformed && !bounds.skipped && bounds.end === bytes.length;
  if (!isOne) return null;
  const fields = new CsvFields(bytes.length + 1, dialect);
  const value = Buffer.alloc(bytes.length);
  return Array.from({ length: fields.split(bytes, 0, bytes.length) }, (_, at) => {
    const [from = 0, to = 0, mark = PLAIN_FIELD] = [fields.starts[at], fields.ends[at], fields.marks[at]];
    if (mark === NULL_FIELD) return null;
    if (mark === PLAIN_FIELD) return bytes.toString('utf8', from, to);
    return value.toString('utf8', 0, rewrite(bytes, from, to, dialect, mark, value, 0));
  });
}
