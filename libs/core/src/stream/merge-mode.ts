import type { Dataset, WriteMode } from '../dataset/dataset.js';

/** In which a dataset's stream merges its jobs: the later message of a key wins where it may; null: it may only replace. */
export function mergeModeOf({ writeModes }: Pick<Dataset, 'writeModes'>): WriteMode | null {
  return (['upsert', 'append'] as const).find((mode) => writeModes.includes(mode)) ?? null;
}
