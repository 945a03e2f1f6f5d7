import { Injectable } from '@nestjs/common';
import { DatasetRegistry } from '#core/registry/registry.js';
import { DeadLetterGroups } from '#core/repair/dead-letter-group.js';
import { FieldValues } from '#core/repair/field-value.js';

/** Groups of dead letters whose records are read as their dataset writes them; those of a dataset that is gone by guess. */
@Injectable()
export class DatasetGroups extends DeadLetterGroups {
  constructor(registry: DatasetRegistry) {
    const formats = new Map(registry.all().map((dataset) => [dataset.name, dataset]));
    super(new FieldValues(), (name) => formats.get(name) ?? {});
  }
}
