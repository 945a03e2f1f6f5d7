/** A dataset and its records, for runs that Prometheus reads. */
import type { DatasetFiles } from '../support/system.js';

const datasetText = (name: string): string => `
  import { Column, Table } from '#core/dataset/columns.js';
  import { defineDataset } from '#core/dataset/define-dataset.js';
  import { int32, int64 } from '#core/dataset/kinds.js';
  class Parcel {}
  Column({ kind: int64(), required: { code: 'NO_NUMBER' } })(Parcel.prototype, 'number');
  Column({ kind: int32(), required: { code: 'NO_WEIGHT' } })(Parcel.prototype, 'weight');
  Table({ name: '${name.replace('-', '_')}', key: ['number'] })(Parcel);
  export default defineDataset({ title: 'Parcels', contract: Parcel, format: 'ndjson', maxRefusedShare: 1,
    writeModes: ['upsert', 'replace'], inbox: { partitions: 2 } });`;

/** @param names of datasets of parcels, one folder each */
export function parcelDatasets(...names: readonly string[]): DatasetFiles {
  return Object.fromEntries(names.map((name) => [`${name}/dataset.js`, datasetText(name)]));
}

/** Good records, with the numbers from `from` on. */
export function parcels(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) => JSON.stringify({ number: from + at, weight: 1 }));
}
