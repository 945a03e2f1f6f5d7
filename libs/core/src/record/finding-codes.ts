import type { Dataset } from '../dataset/dataset.js';
import { planContract } from './compile/contract-plan.js';
import { GENERAL_FINDING_CODES } from '../finding/finding.js';
import type { FindingCategory } from '#api/job-words.js';
import { categoryOfGeneral } from '../finding/finding-category.js';

/**
 * Code → category of every code that findings of a dataset's records can have. PURE. General codes keep their own
 * category wherever a contract gives them; a code that rules on single values and rules across columns both give is a `rule`.
 * Codes about a file's head are not among them: they are all `structure`.
 * @throws SluiceError DATASET_INVALID
 */
export function findingCategories(
  dataset: Pick<Dataset, 'name' | 'contract'>,
): ReadonlyMap<string, FindingCategory> {
  const known = KNOWN.get(dataset.contract);
  if (known !== undefined) return known;
  const { columns, children } = planContract(dataset);
  const categories = new Map<string, FindingCategory>();
  for (const { checks } of [...columns, ...children.flatMap((child) => child.columns)]) {
    for (const { code, judges } of checks) {
      const isAcross = judges === 'record' || judges === 'pair';
      if (isAcross || !categories.has(code)) categories.set(code, isAcross ? 'rule' : 'value');
    }
  }
  for (const code of Object.values(GENERAL_FINDING_CODES)) {
    categories.set(code, categoryOfGeneral(code) ?? 'structure');
  }
  KNOWN.set(dataset.contract, categories);
  return categories;
}

const KNOWN = new WeakMap<object, ReadonlyMap<string, FindingCategory>>();

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
