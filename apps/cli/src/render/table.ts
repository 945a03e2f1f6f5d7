import { shorten } from '#common/text/plain-text.js';

/** Blanks between columns. */
const GAP = 2;

export interface TableColumn<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  readonly align?: 'left' | 'right';
  /** Left out when the table is too wide, the lowest number first; never without one. */
  readonly leaveOut?: number;
  /** Shortened, before anything is left out, as long as this number of characters remains. */
  readonly shortenTo?: number;
}

/**
 * Rows under titles, columns two blanks apart, no trailing blanks. Columns whose text may hold wide
 * characters stand last, where nothing has to line up after them. PURE.
 * @param width of the terminal: what does not fit is shortened or left out
 */
export function renderTable<T>(
  rows: readonly T[],
  columns: readonly TableColumn<T>[],
  width = Infinity,
): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ value }) => value(row))),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  const excess = widths.reduce((sum, each) => sum + each, GAP * (widths.length - 1)) - width;
  if (excess > 0) {
    const smaller = shortened(columns, widths, excess) ?? withoutOne(columns);
    if (smaller !== undefined) return renderTable(rows, smaller, width);
  }
  return cells
    .map((line) =>
      line
        .map((cell, i) =>
          columns[i]?.align === 'right' ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
        )
        .join(' '.repeat(GAP))
        .trimEnd(),
    )
    .map((line) => (Number.isFinite(width) ? shorten(line, width) : line))
    .map((line) => `${line}\n`)
    .join('');
}

/** @returns undefined when no column can give `excess` characters */
function shortened<T>(
  columns: readonly TableColumn<T>[],
  widths: readonly number[],
  excess: number,
): TableColumn<T>[] | undefined {
  const at = columns.findIndex(({ shortenTo }, i) => (widths[i] ?? 0) - excess >= (shortenTo ?? Infinity));
  if (at === -1) return undefined;
  return columns.map((column, i) =>
    i === at ? { ...column, value: (row) => shorten(column.value(row), (widths[i] ?? 0) - excess) } : column,
  );
}

/** @returns undefined when all columns have to stay */
function withoutOne<T>(columns: readonly TableColumn<T>[]): TableColumn<T>[] | undefined {
  const first = Math.min(...columns.map(({ leaveOut }) => leaveOut ?? Infinity));
  return first === Infinity ? undefined : columns.filter(({ leaveOut }) => leaveOut !== first);
}
