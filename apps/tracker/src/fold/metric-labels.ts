import { Injectable } from '@nestjs/common';
import { findingCodes } from '#core/record/finding-codes.js';
import { DatasetRegistry } from '#core/registry/registry.js';

/** Stands for every name that is not registered. */
export const OTHER = 'other';

/**
 * Label values that metrics may have: a series lives as long as the process, so text of a foreign message must not become
 * one (G9). PURE.
 */
@Injectable()
export class MetricLabels {
  private readonly codes: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(registry: DatasetRegistry) {
    this.codes = new Map(registry.all().map((dataset) => [dataset.name, findingCodes(dataset)]));
  }

  dataset(name: string): string {
    return this.codes.has(name) ? name : OTHER;
  }

  code(dataset: string, code: string): string {
    return this.codes.get(dataset)?.has(code) === true ? code : OTHER;
  }
}
