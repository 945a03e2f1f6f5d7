import type pg from 'pg';
import { DatasetRegistry } from '#core/registry/registry.js';
import { DatasetGroups } from '../fold/dataset-groups.js';
import { FoldRepository } from '../fold/fold.repository.js';

/** Of datasets that are not registered: their records are read by guess. */
export function unregisteredGroups(): DatasetGroups {
  return new DatasetGroups(new DatasetRegistry([]));
}

export function foldsOver(pool: pg.Pool): FoldRepository {
  return new FoldRepository(pool, unregisteredGroups());
}
