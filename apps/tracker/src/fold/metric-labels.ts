import type { Dataset } from '#core/dataset/dataset.js';
import { findingCodes } from '#core/record/finding-codes.js';

/** Stands for every name that is not registered. */
export const OTHER = 'other';

/**
 * Label values that metrics may have: a series lives as long as the process, so what a stranger writes into a message
 * must not become one (G9). PURE.
 */
export class MetricLabels {
  private readonly codes: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(datasets: readonly Pick<Dataset, 'name' | 'contract'>[]) {
    this.codes = new Map(datasets.map((dataset) => [dataset.name, findingCodes(dataset)]));
  }

  dataset(name: string): string {
    return this.codes.has(name) ? name : OTHER;
  }

  code(dataset: string, code: string): string {
    return this.codes.get(dataset)?.has(code) === true ? code : OTHER;
  }
}
