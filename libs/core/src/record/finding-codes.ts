import type { Dataset } from '../dataset/dataset.js';
import { planContract } from './compile/contract-plan.js';
import { GENERAL_FINDING_CODES } from './finding.js';

/**
 * Every code that findings of a dataset's records can have. PURE.
 * @throws SluiceError DATASET_INVALID
 */
export function findingCodes(dataset: Pick<Dataset, 'name' | 'contract'>): ReadonlySet<string> {
  const { columns, children } = planContract(dataset);
  const all = [...columns, ...children.flatMap((child) => child.columns)];
  return new Set([
    ...Object.values(GENERAL_FINDING_CODES),
    ...all.flatMap((column) => column.checks.map(({ code }) => code)),
  ]);
}
