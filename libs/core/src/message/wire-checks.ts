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

/** ISO 8601 with a year of four digits: PostgreSQL reads nothing else as JavaScript does. */
export function isTime(value: unknown): value is string {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value));
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

export function isRecordOf<T>(
  isValue: (value: unknown) => value is T,
): (value: unknown) => value is Record<string, T> {
  return (value): value is Record<string, T> =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((member) => isValue(member));
}

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
