/** What must hold of a value that came over the wire before anybody adds it up or stores it. PURE. */

/** A UUID as PostgreSQL prints it, so that ids can be compared as text. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}

export function isDatasetName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9-]{1,100}$/.test(value);
}

/** A whole number from 0 to `max`, by default every one that a number holds exactly. */
export function isCount(value: unknown, max = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

/** A message's offset as text; 18 digits, so that every one fits PostgreSQL's bigint. */
export function isOffset(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,18}$/.test(value);
}

const FIRST_TIME_MS = Date.parse('0001-01-01T00:00:00Z');

/**
 * A moment in UTC as `toISOString` writes it, from the year 1 to 9999, with any number of decimals up to microseconds:
 * PostgreSQL has no year 0 and reads nothing else as JavaScript does. No 30 February and no hour 24, either: JavaScript
 * counts them on.
 */
export function isTime(value: unknown): value is string {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(value)) return false;
  const ms = Date.parse(value);
  return ms >= FIRST_TIME_MS && new Date(ms).toISOString().startsWith(value.slice(0, 19));
}

/** A text that `text` and `jsonb` can hold: no NUL, no lone surrogate. */
export function isStorable(value: unknown, maxCharacters: number): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxCharacters &&
    value.isWellFormed() &&
    !value.includes('\0')
  );
}

/** At most this number of characters of a text, as `text` and `jsonb` can hold it: U+FFFD stands for what they cannot. */
export function cutStorable(text: string, maxCharacters: number): string {
  const cut = text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters - 1)}…`;
  return cut.toWellFormed().replaceAll('\0', '\u{FFFD}');
}

/** A short text without control characters, private-use characters or lone surrogates. */
export function isLabel(value: unknown, maxCharacters = 200): value is string {
  return (
    typeof value === 'string' && value.length > 0 && value.length <= maxCharacters && !/\p{C}/u.test(value)
  );
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isListOf<T>(isItem: (value: unknown) => value is T): (value: unknown) => value is T[] {
  return (value): value is T[] => Array.isArray(value) && value.every(isItem);
}

/** At most 1,000 members whose names and values are right. */
export function isRecordOf<T>(
  isValue: (value: unknown) => value is T,
  isName: (name: string) => boolean = isText,
): (value: unknown) => value is Record<string, T> {
  return (value): value is Record<string, T> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    const members = Object.entries(value);
    return (
      members.length <= MAX_MEMBERS && members.every(([name, member]) => isName(name) && isValue(member))
    );
  };
}

/** Far above the finding codes of any contract and the facts of any head. */
export const MAX_MEMBERS = 1_000;

/** An object whose named members are right; others are let pass, for later versions. */
export function isObjectOf<T extends object>(members: {
  readonly [K in keyof T]: (value: unknown) => value is T[K];
}): (value: unknown) => value is T {
  return (value): value is T =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries<(member: unknown) => boolean>(members).every(([name, isRight]) =>
      isRight((value as Record<string, unknown>)[name]),
    );
}
