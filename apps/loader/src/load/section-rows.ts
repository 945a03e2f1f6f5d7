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
