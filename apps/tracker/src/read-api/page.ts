import type { Page } from '#api/pages.js';

/** One page of rows that were read with one more than `limit`: whether there is a next page costs no count. PURE. */
export function pageOf<T>(rows: readonly T[], limit: number, cursorOf: (item: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}
