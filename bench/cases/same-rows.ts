import { SluiceError } from '#common/errors/sluice-error.js';
import type { CleanedFile } from '../baselines/cleaned-files.js';

/** Rows of each table, and a sum that depends on every value of every row and not on their order. */
export function sumQuery(tables: readonly CleanedFile[]): string {
  const sums = tables.map(({ table, columns }) => {
    const list = columns.map((column) => `"${column}"`).join(', ');
    return `(SELECT count(*) || ' ' || sum(hashtextextended(ROW(${list})::text, 0)) FROM public.${table})`;
  });
  return `SELECT concat_ws(', ', ${sums.join(', ')}) AS sum`;
}

/**
 * @param sums of those that were looked at before, by label; this one's is added
 * @throws SluiceError INTERNAL when they are not all the same
 */
export function assertSame(
  sums: Map<string, string>,
  label: string,
  [found]: readonly { readonly sum: string }[],
): void {
  sums.set(label, found?.sum ?? '');
  if (new Set(sums.values()).size > 1) {
    throw new SluiceError('INTERNAL', `The tables differ after the merges: ${JSON.stringify([...sums])}.`);
  }
}
