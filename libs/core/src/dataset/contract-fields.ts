import { contractMetadata, sourcesOfOrigin } from './columns.js';
import type { Dataset } from './dataset.js';

/** The fields that the contract reads, in its order, each once; behind them that of the marker of deletes. PURE. */
export function contractFields({ contract, deletes }: Pick<Dataset, 'contract' | 'deletes'>): string[] {
  const { columns, children } = contractMetadata(contract);
  const own = columns.flatMap(({ origin }) => sourcesOfOrigin(origin));
  const slots = children.flatMap(({ options }) => ('slots' in options ? options.slots : []));
  // Before the registry checks it, `deletes` may be anything.
  const marker = typeof deletes === 'object' ? deletes.marker : undefined;
  const marks = marker === undefined ? [] : [marker.source];
  return [...new Set([...own, ...slots.flatMap((slot) => Object.values(slot)), ...marks])];
}
