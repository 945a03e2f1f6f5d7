/** Names of a contract from names of a source. PURE. */

/** PostgreSQL's limit for a name, in bytes. */
const MAX_NAME_BYTES = 63;
/** Never properties: every object has them. */
const TAKEN = Object.getOwnPropertyNames(Object.prototype);
/** What a contract imports, and what a file of TypeScript has anyway. */
export const TAKEN_CLASSES: readonly string[] = [
  'ChildTable',
  'Children',
  'Column',
  'FromParent',
  'SlotNumber',
  'Table',
  'Object',
  'String',
];

/** `Kunde-Nr.` → `kundeNr`; alphabetic characters of any script stay. A name without one gets `column` before it. */
export function propertyName(source: string): string {
  const words = source
    .replaceAll(/([\p{Ll}\p{Nd}])(\p{Lu})/gu, '$1 $2')
    .split(/[^\p{L}\p{M}\p{Nd}]+/u)
    .filter((word) => word !== '');
  const joined = words
    .map((word, at) => (at === 0 ? word.toLowerCase() : capitalized(word.toLowerCase())))
    .join('');
  const name = /^\p{L}/u.test(joined) ? joined : `column${capitalized(joined)}`;
  return shortened(TAKEN.includes(name) ? `${name}Value` : name, '', snakeCase);
}

/**
 * As {@link propertyName}, each different, and so is its column: the second `name` is `name2`.
 * @param taken properties that the class has besides
 */
export function propertyNames(sources: readonly string[], taken: readonly string[] = []): string[] {
  const used = new Set(taken);
  return sources.map((source) => differentFrom(used, propertyName(source), snakeCase));
}

/** `bank-transactions` → `BankTransaction`: one record is one of them. */
export function className(dataset: string, used: Set<string>): string {
  const name = singular(dataset)
    .split('-')
    .map((word) => capitalized(word))
    .join('');
  return differentFrom(used, used.has(name) ? `${name}Row` : name);
}

/** `bank-transactions` → `bank_transaction`; the plural where a table of that name is there. */
export function tableName(dataset: string, used: Set<string>): string {
  const [one, many] = [singular(dataset), dataset].map((name) => name.replaceAll('-', '_'));
  return differentFrom(used, used.has(one ?? '') ? (many ?? '') : (one ?? ''));
}

/** The name, or the first that is free of `name2`, `name3` …; its column or table fits PostgreSQL. It is used from now on. */
export function differentFrom(
  used: Set<string>,
  name: string,
  stored: (name: string) => string = (same) => same,
): string {
  let free = shortened(name, '', stored);
  for (let number = 2; used.has(free); number += 1) free = shortened(name, String(number), stored);
  used.add(free);
  return free;
}

/** `orderLines` → `order_lines`, as `@Column` does. */
export function snakeCase(property: string): string {
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** English plurals of the plain kinds; any other word stays. */
export function singular(word: string): string {
  if (/[^aeiou]ies$/.test(word)) return word.replace(/ies$/, 'y');
  if (/(s|x|z|ch|sh)es$/.test(word)) return word.replace(/es$/, '');
  return /[^su]s$/.test(word) ? word.slice(0, -1) : word;
}

/** With its ending, so that what is stored under it fits: each capital becomes two bytes in a column. */
function shortened(name: string, ending: string, stored: (name: string) => string): string {
  let short = name;
  while (Buffer.byteLength(stored(short + ending)) > MAX_NAME_BYTES)
    short = Array.from(short).slice(0, -1).join('');
  return short + ending;
}
