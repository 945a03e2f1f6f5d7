import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { ID_COLUMN, type ImportedRow, REASONS_COLUMN, RECORD_COLUMN } from '#api/dead-letter-edits.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { USUAL_DELIMITERS } from '#core/dataset/csv-dialect.js';
import { createCutter } from '#core/record/cutter.js';
import { DEFAULT_CUTTING } from '#core/record/raw-batch.js';
import { walkerOf } from '#core/record/record-walker.js';
import { splitRecord } from '#core/record/split-record.js';
import { importedJsonRow } from '#core/repair/export-rows.js';

/** A record may double by quotes, and its reasons stand beside it. */
const MAX_ROW_BYTES = 2 * 1024 * 1024;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d{1,15}$/i;
const BYTE_ORDER_MARK = '\ufeff';

/**
 * The rows of an edited export, one by one: CSV (with commas, semicolons or tabs, as spreadsheets store it) or NDJSON, whatever
 * the file is called.
 * @throws SluiceError IMPORT_INVALID, with the line, when it is no such export; USAGE_INVALID when it cannot be read
 */
export async function* importedRows(path: string): AsyncGenerator<ImportedRow> {
  const chunks = chunksOf(path)[Symbol.asyncIterator]();
  const first = await chunks.next();
  const head = first.done === true ? Buffer.alloc(0) : first.value;
  if (head[0] === 0xff || head[0] === 0xfe) throw invalid(path, 1, 'it is UTF-16; store it as CSV in UTF-8');
  const text = head.toString('utf8', 0, 4096).replace(BYTE_ORDER_MARK, '');
  const rest = {
    async *[Symbol.asyncIterator]() {
      yield head;
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
    },
  };
  if (/^\s*\{/.test(text)) yield* jsonRows(path, rest);
  else yield* csvRows(path, rest, delimiterOf(text));
}

async function* jsonRows(path: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<ImportedRow> {
  for await (const { bytes, line } of recordsOf(path, chunks, 'ndjson')) {
    const text = bytes.toString().replace(BYTE_ORDER_MARK, '');
    if (text.trim() === '') continue;
    const row = importedJsonRow(text);
    if (row === null) throw invalid(path, line, `it is no JSON object with the member ${ID_COLUMN}`);
    yield checked(path, line, row);
  }
}

async function* csvRows(
  path: string,
  chunks: AsyncIterable<Buffer>,
  delimiter: string,
): AsyncGenerator<ImportedRow> {
  let header: readonly string[] | null = null;
  for await (const { bytes, line } of recordsOf(path, chunks, 'csv', delimiter)) {
    if (bytes.length === 0) continue;
    const cells = splitRecord(bytes, { delimiter })?.map((cell) => cell ?? '');
    if (cells === undefined) throw invalid(path, line, 'its quotes are broken');
    if (header === null) {
      header = headerOf(path, cells);
      continue;
    }
    // Rows that a spreadsheet has emptied.
    if (cells.every((cell) => cell === '')) continue;
    if (cells.length > header.length)
      throw invalid(path, line, `it has ${cells.length} cells, and the header ${header.length}`);
    yield checked(path, line, rowOf(header, cells));
  }
  if (header === null) headerOf(path, []);
}

function headerOf(path: string, cells: readonly string[]): readonly string[] {
  const names = cells.map((cell, at) => (at === 0 ? cell.replace(BYTE_ORDER_MARK, '') : cell));
  if (!names.includes(ID_COLUMN))
    throw invalid(
      path,
      1,
      `it has no column ${ID_COLUMN}: only an export of \`dead-letters export\` can be imported`,
    );
  const repeated = names.find((name, at) => name !== '' && names.indexOf(name) !== at);
  if (repeated !== undefined) throw invalid(path, 1, `it has the column ${repeated} twice`);
  return names;
}

function rowOf(header: readonly string[], cells: readonly string[]): ImportedRow {
  const row = new Map(header.map((name, at) => [name, cells[at] ?? '']));
  const record = row.get(RECORD_COLUMN) ?? '';
  const own = [ID_COLUMN, REASONS_COLUMN, RECORD_COLUMN];
  // A column without a name is what a spreadsheet leaves at the right.
  const fields = [...row].filter(([name, cell]) => !own.includes(name) && (name !== '' || cell !== ''));
  return {
    id: row.get(ID_COLUMN) ?? '',
    fields: Object.fromEntries(fields),
    ...(record === '' ? {} : { record }),
  };
}

function checked(path: string, line: number, row: ImportedRow): ImportedRow {
  const id = row.id.trim();
  if (!ID.test(id)) throw invalid(path, line, `its ${ID_COLUMN} is no id of a dead letter`);
  return { ...row, id: id.toLowerCase() };
}

async function* recordsOf(
  path: string,
  chunks: AsyncIterable<Buffer>,
  format: 'csv' | 'ndjson',
  delimiter = ',',
): AsyncGenerator<{ bytes: Buffer; line: number }> {
  const shape = { format, csv: { delimiter } };
  const cutter = createCutter(
    { ...DEFAULT_CUTTING, ...shape, maxRecordBytes: MAX_ROW_BYTES, limitRecords: null },
    { batch: 0, record: 0, line: 1, byte: 0 },
  );
  const batches = async function* () {
    for await (const chunk of chunks) yield* cutter.push(chunk);
    yield* cutter.end();
  };
  for await (const batch of batches()) {
    const walker = walkerOf(batch, shape);
    while (walker.next()) {
      if (walker.malformed || walker.unreadable !== null)
        throw invalid(path, walker.line, 'its quotes are broken, or it is over 2 MiB');
      const bytes = Buffer.from(batch.bytes.subarray(walker.start, walker.end));
      if (!isUtf8(bytes))
        throw invalid(path, walker.line, 'it holds bytes that are not UTF-8; store it as CSV in UTF-8');
      yield { bytes, line: walker.line };
    }
  }
}

/** What separates the id's column from the others. */
function delimiterOf(text: string): string {
  const [header = ''] = text.split(/\r?\n/, 1);
  return (
    USUAL_DELIMITERS.find(
      (each) => header.includes(`${ID_COLUMN}${each}`) || header.includes(`${each}${ID_COLUMN}`),
    ) ?? ','
  );
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path) as AsyncIterable<Buffer>;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new SluiceError('USAGE_INVALID', `${path} cannot be read (${code}).`, {}, { cause: error });
  }
}

function invalid(path: string, line: number, why: string): SluiceError {
  return new SluiceError('IMPORT_INVALID', `${path}, line ${line}: ${why}.`);
}
