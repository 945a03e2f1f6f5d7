/** As many bytes of names as a message may have (`message-head.ts`). */
const MAX_BYTES = 64 * 1024;

const known = new WeakMap<readonly string[], readonly string[] | null>();

/**
 * Names of columns as a message can say them. PURE. A file may have columns without a name, and a name twice, as long as its
 * contract reads none of these: each of them gets a name of its own, so that the others keep their places.
 * @returns the same list where all can be said; null when they are more bytes than a message may name
 */
export function sendableColumns(columns: readonly string[]): readonly string[] | null {
  const made = known.get(columns);
  if (made !== undefined) return made;
  const named = withNames(columns);
  const sendable = Buffer.byteLength(JSON.stringify(named)) > MAX_BYTES ? null : named;
  known.set(columns, sendable);
  return sendable;
}

function withNames(columns: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const name of columns) counts.set(name, (counts.get(name) ?? 0) + 1);
  const isSayable = (name: string): boolean =>
    name !== '' && counts.get(name) === 1 && name.isWellFormed() && !/[\0\ufffd]/.test(name);
  if (columns.every(isSayable)) return columns;
  const free = (at: number): string => {
    let name = `column_${at + 1}`;
    while (counts.has(name)) name += '_';
    return name;
  };
  return columns.map((name, at) => (isSayable(name) ? name : free(at)));
}
