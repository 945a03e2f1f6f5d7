/** How counts by name add up, in the folds and in what is shown of them. PURE. */

export function addCounts(sums: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) sums.set(name, (sums.get(name) ?? 0) + count);
}

/** Finding code → how often, added up. */
export function addFindings(...parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const part of parts) addCounts(sums, part);
  return Object.fromEntries(sums);
}
