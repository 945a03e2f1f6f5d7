/** The one of `names` that was probably meant, or undefined when none is near. PURE. */
export function closestName(given: string, names: readonly string[]): string | undefined {
  const near = names
    .map((name) => ({ name, distance: editDistance(given.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(2, name.length / 3))
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.name;
}

/** ` Did you mean "x"?`, or nothing. */
export function suggestion(given: string, names: readonly string[]): string {
  const name = closestName(given, names);
  return name === undefined ? '' : ` Did you mean "${name}"?`;
}

/** Levenshtein: the fewest characters to insert, delete or exchange. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, characterOfA] of Array.from(a).entries()) {
    const row = [i + 1];
    for (const [j, characterOfB] of Array.from(b).entries()) {
      const exchanged = (previous[j] ?? 0) + (characterOfA === characterOfB ? 0 : 1);
      row.push(Math.min(exchanged, (previous[j + 1] ?? 0) + 1, (row[j] ?? 0) + 1));
    }
    previous = row;
  }
  return previous.at(-1) ?? 0;
}
