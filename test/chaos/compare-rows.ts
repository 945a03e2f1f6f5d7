/** How a table differs from what it must hold; every row counts as often as it is there. */
export interface Difference {
  /** Must be there and are not. */
  readonly lost: number;
  /** Are there more often than they must. */
  readonly doubled: number;
  /** Are there and must not be at all. A row with a wrong value is lost and foreign. */
  readonly foreign: number;
  /** A few of them, as JSON. */
  readonly examples: readonly string[];
}

const MOST_EXAMPLES = 4;

/** Compares two multisets of rows; the order of rows and of their columns does not matter. */
export function compareRows(found: readonly object[], wanted: readonly object[]): Difference {
  const balance = new Map<string, number>();
  const isWanted = new Set<string>();
  for (const row of wanted) {
    const text = textOf(row);
    isWanted.add(text);
    balance.set(text, (balance.get(text) ?? 0) + 1);
  }
  for (const row of found) {
    const text = textOf(row);
    balance.set(text, (balance.get(text) ?? 0) - 1);
  }
  const difference = { lost: 0, doubled: 0, foreign: 0, examples: [] as string[] };
  for (const [text, missing] of balance) {
    if (missing === 0) continue;
    const kind = missing > 0 ? 'lost' : isWanted.has(text) ? 'doubled' : 'foreign';
    difference[kind] += Math.abs(missing);
    if (difference.examples.length < MOST_EXAMPLES) difference.examples.push(`${kind}: ${text}`);
  }
  return difference;
}

function textOf(row: object): string {
  return JSON.stringify(row, Object.keys(row).sort());
}
