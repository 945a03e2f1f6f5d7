/**
 * Which columns identify a record: the fewest that differ in every record of the sample and are never null. PURE. Names
 * that say so go first, then the order of the file.
 */
const SAYS_KEY =
  /(^|[^\p{L}])(id|no|nr|num|number|key|code|uuid|guid|sku|iban|isbn)([^\p{L}]|$)|id$|nummer$|編號|代號|番号/iu;
/** Amounts and measurements differ by chance. */
const AMOUNT = /^[-+]?\d+[.,]\d+$/;
/** Combinations of more columns are not tried: 40 columns have ten thousand triples. */
const MAX_PAIRED_COLUMNS = 40;
const MAX_TRIPLED_COLUMNS = 12;

/**
 * @param columns of each column its name and its values, null where there is none
 * @returns numbers of the columns; null where even three do not distinguish the records
 */
export function guessKey(
  columns: readonly { readonly name: string; readonly values: readonly (string | null)[] }[],
): readonly number[] | null {
  const [first] = columns;
  if (first === undefined || first.values.length === 0) return null;
  const candidates = [...columns.keys()]
    .filter((at) => columns[at]?.values.every((value) => value !== null && !AMOUNT.test(value)))
    .sort((a, b) => rank(columns[a]?.name) - rank(columns[b]?.name) || a - b);
  const isUnique = (numbers: readonly number[]): boolean => {
    const seen = new Set<string>();
    return first.values.every((_, record) => {
      const key = JSON.stringify(numbers.map((at) => columns[at]?.values[record]));
      const isNew = !seen.has(key);
      seen.add(key);
      return isNew;
    });
  };
  for (const at of candidates) if (isUnique([at])) return [at];
  for (const pair of combinations(candidates.slice(0, MAX_PAIRED_COLUMNS), 2))
    if (isUnique(pair)) return pair;
  for (const triple of combinations(candidates.slice(0, MAX_TRIPLED_COLUMNS), 3))
    if (isUnique(triple)) return triple;
  return null;
}

function rank(name = ''): number {
  return SAYS_KEY.test(name) ? 0 : 1;
}

function* combinations(items: readonly number[], size: number): Generator<number[]> {
  if (size === 0) yield [];
  else {
    for (const [at, item] of items.entries()) {
      for (const rest of combinations(items.slice(at + 1), size - 1))
        yield [item, ...rest].sort((a, b) => a - b);
    }
  }
}
