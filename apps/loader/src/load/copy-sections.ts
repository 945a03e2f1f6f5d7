import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { faultPoint } from '#common/faults/fault-point.js';
import type { StagingTarget } from './staging-targets.js';

/**
 * COPYs the given runs of COPY text into one staging table, as they are.
 *
 * `pipeline` resolves when PostgreSQL is ready for the next statement, and on an error of ours ends the
 * COPY (CopyFail), so the connection stays usable. `progress` is called for each run that was taken.
 * @returns the rows that PostgreSQL says it has taken
 */
export async function copyInto(
  client: PoolClient,
  target: StagingTarget,
  texts: readonly Buffer[],
  progress: () => void,
): Promise<number> {
  const filled = texts.filter((text) => text.length > 0);
  if (filled.length === 0) return 0;
  const stream = client.query(copyFrom(target.copyStatement));
  await pipeline(Readable.from(withProgress(filled, progress), { objectMode: false }), stream);
  return stream.rowCount;
}

function* withProgress(texts: readonly Buffer[], progress: () => void): Generator<Buffer> {
  for (const text of texts) {
    progress();
    yield text;
    faultPoint('loader.in-copy');
  }
}

/** Place of a refused row: which staging table, and the line of the COPY that failed, from 1. */
export interface CopyFault {
  readonly table: string;
  readonly line: number;
  /** When a value could not be read; constraints name no column. */
  readonly column: string | null;
}

/**
 * PostgreSQL names the row in the error's context: `COPY <table>, line <n>[, column <c>: "<value>"]`, in the language
 * that `lc_messages` says (`Zeile`, `ligne`, `行`), and only a superuser may change that. The table's name, the number
 * behind it and the column's name are the same in all of them.
 * @param targets our own staging tables
 */
export function copyFaultOf(
  error: unknown,
  targets: readonly Pick<StagingTarget, 'stagingName' | 'columns'>[],
): CopyFault | null {
  const where =
    error instanceof Error && 'where' in error && typeof error.where === 'string' ? error.where : '';
  // The name of one may begin with that of another, and `$` does not end a name that continues in another script.
  for (const { stagingName: table, columns } of longestFirst(targets, ({ stagingName }) => stagingName)) {
    const found = new RegExp(`${literally(table)}(?![A-Za-z0-9_$])[^\\d\\n]*(\\d+)([^:：\\n]*)`).exec(where);
    if (found?.[1] === undefined) continue;
    const words = ` ${found[2] ?? ''} `;
    const column = longestFirst(columns, (name) => name).find((name) =>
      new RegExp(`[\\s,、，]${literally(name)}[\\s,、，]`).test(words),
    );
    return { table, line: Number(found[1]), column: column ?? null };
  }
  return null;
}

function longestFirst<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return items.toSorted((one, other) => nameOf(other).length - nameOf(one).length);
}

const literally = (text: string): string => text.replace(/[^A-Za-z0-9_]/g, '\\$&');

/** Where one row of COPY text stands; COPY text escapes line feeds, so a line is a row. */
interface Row {
  readonly record: number;
  readonly text: Buffer;
  readonly start: number;
  readonly end: number;
}

const LINE_FEED = 0x0a;
const TAB = 0x09;

/**
 * The rows of a group's sections by record, so that any of its records can be COPYed without the others. PURE.
 * Costs an object a row, so it is made only for groups in which the database has refused something.
 */
export class SectionRows {
  private readonly byTable: ReadonlyMap<string, ReadonlyMap<number, readonly Row[]>>;
  /** Every record that has a row, in ascending order. */
  readonly records: readonly number[];

  /** @param sections by table, as they are COPYed: each row begins with its record's number */
  constructor(sections: ReadonlyMap<string, readonly Buffer[]>) {
    this.byTable = new Map([...sections].map(([table, texts]) => [table, byRecord(texts)]));
    const all = new Set([...this.byTable.values()].flatMap((rows) => [...rows.keys()]));
    this.records = [...all].sort((a, b) => a - b);
  }

  /** How many rows a record has in a table. */
  rowsOf(table: string, record: number): number {
    return this.byTable.get(table)?.get(record)?.length ?? 0;
  }

  /** The COPY text of the given records alone, in their order; neighbours stay one piece. */
  textOf(table: string, records: readonly number[]): Buffer[] {
    const pieces: Row[] = [];
    for (const record of records) {
      for (const row of this.byTable.get(table)?.get(record) ?? []) {
        const last = pieces.at(-1);
        if (last?.text === row.text && last.end === row.start)
          pieces[pieces.length - 1] = { ...last, end: row.end };
        else pieces.push(row);
      }
    }
    return pieces.map(({ text, start, end }) => text.subarray(start, end));
  }
}

/** Number of the record that a line (from 1) of COPY text belongs to: its first column. Null: no such line. */
export function recordOfLine(texts: readonly Buffer[], line: number): number | null {
  let passed = 0;
  for (const text of texts) {
    for (const row of rowsIn(text)) if (++passed === line) return row.record;
  }
  return null;
}

function byRecord(texts: readonly Buffer[]): ReadonlyMap<number, readonly Row[]> {
  const rows = new Map<number, Row[]>();
  for (const text of texts) {
    for (const row of rowsIn(text)) {
      const known = rows.get(row.record);
      if (known) known.push(row);
      else rows.set(row.record, [row]);
    }
  }
  return rows;
}

function* rowsIn(text: Buffer): Generator<Row> {
  for (let start = 0; start < text.length;) {
    const found = text.indexOf(LINE_FEED, start);
    const end = found < 0 ? text.length : found + 1;
    const record = Number(text.toString('latin1', start, Math.max(start, text.indexOf(TAB, start))));
    yield { record, text, start, end };
    start = end;
  }
}
