/** How cost grows with rows: seconds ≈ a + b · rows. */
export interface Point {
  readonly rows: number;
  readonly seconds: number;
}

export interface Line {
  /** Seconds whatever the rows: `a`. */
  readonly fixedSeconds: number;
  /** `b`. */
  readonly secondsPerRow: number;
}

/** `b` between two neighbouring numbers of rows. */
export interface Slope {
  readonly fromRows: number;
  readonly toRows: number;
  readonly secondsPerRow: number;
}

/**
 * Least squares of relative errors (each point weighs 1/seconds²): with plain ones the largest file would decide
 * alone, and `a` would be whatever its noise leaves.
 * @throws RangeError for fewer than two numbers of rows
 */
export function fitLine(points: readonly Point[]): Line {
  const weighted = points.map(({ rows, seconds }) => ({ rows, seconds, weight: 1 / seconds ** 2 }));
  const sum = (value: (point: (typeof weighted)[number]) => number): number =>
    weighted.reduce((total, point) => total + point.weight * value(point), 0);
  const weight = sum(() => 1);
  const meanRows = sum(({ rows }) => rows) / weight;
  const meanSeconds = sum(({ seconds }) => seconds) / weight;
  const variance = sum(({ rows }) => (rows - meanRows) ** 2);
  if (!(variance > 0)) throw new RangeError('A line needs measurements at two numbers of rows.');
  const covariance = sum(({ rows, seconds }) => (rows - meanRows) * (seconds - meanSeconds));
  const secondsPerRow = covariance / variance;
  return { fixedSeconds: meanSeconds - secondsPerRow * meanRows, secondsPerRow };
}

/** Between neighbours, from the fewest rows to the most. Give one point a number of rows, such as its median. */
export function slopesOf(points: readonly Point[]): Slope[] {
  const sorted = [...points].sort((a, b) => a.rows - b.rows);
  return sorted.slice(1).map((to, index) => slopeBetween(sorted[index] ?? to, to));
}

export function slopeBetween(from: Point, to: Point): Slope {
  return {
    fromRows: from.rows,
    toRows: to.rows,
    secondsPerRow: (to.seconds - from.seconds) / (to.rows - from.rows),
  };
}
