/**
 * Which records of a dataset are deletes (`Dataset.deletes`), and what is wrong with what it says. PURE.
 */
import type { Dataset, WriteMode } from './dataset.js';

/** Records that take a row away instead of writing one. */
export interface DeleteOptions {
  /**
   * A message of the inbox without a value is a delete; its key names the key of the record. One key field: the key is
   * the value. Several: the key is a JSON object of them.
   */
  readonly tombstones?: boolean;
  /** A record is a delete where this field has one of the values. */
  readonly marker?: DeleteMarker;
}

export interface DeleteMarker {
  /** Name of the column (CSV), or dotted path (NDJSON). It need not be a column of the contract. */
  readonly source: string;
  /** Compared with the cleaned value, exactly. */
  readonly values: readonly string[];
  /** The file may lack the column (CSV): then no record of it is a delete. Default false: `COLUMN_MISSING`. */
  readonly optional?: boolean;
}

/** With defaults filled in. */
export interface ResolvedDeletes {
  readonly tombstones: boolean;
  readonly marker: Required<DeleteMarker> | null;
}

/** Of what has no problems; null: the dataset has no deletes. */
export function resolveDeletes(deletes: Dataset['deletes']): ResolvedDeletes | null {
  if (deletes === undefined) return null;
  if (deletes === 'tombstone') return { tombstones: true, marker: null };
  const { tombstones = false, marker } = deletes;
  return { tombstones, marker: marker === undefined ? null : { optional: false, ...marker } };
}

/** The section of a clean batch, and the staging table, that deletes are written to. */
export const DELETED_SECTION = '_sluice_deleted';

const MEMBERS = ['tombstones', 'marker'];
const MARKER_MEMBERS = ['source', 'values', 'optional'];

/** What is wrong with `Dataset.deletes`, each as a clause; TypeScript may not have checked it. */
export function deletesProblems(deletes: unknown, writeModes: unknown): string[] {
  if (deletes === undefined) return [];
  const inVain = Array.isArray(writeModes) && !writeModes.includes('upsert' satisfies WriteMode);
  const problems = inVain ? ['deletes need mode upsert, which writeModes does not allow'] : [];
  if (deletes === 'tombstone') return problems;
  if (!isObject(deletes)) return [...problems, `deletes is neither 'tombstone' nor an object`];
  problems.push(...unknownMembers('deletes', deletes, MEMBERS));
  const { tombstones, marker } = deletes;
  if (tombstones !== undefined && typeof tombstones !== 'boolean')
    problems.push('deletes.tombstones is neither true nor false');
  if (marker === undefined) {
    if (tombstones !== true) problems.push('deletes names neither tombstones nor a marker');
    return problems;
  }
  return [...problems, ...markerProblems(marker)];
}

function markerProblems(marker: unknown): string[] {
  if (!isObject(marker)) return ['deletes.marker is not an object'];
  const problems = unknownMembers('deletes.marker', marker, MARKER_MEMBERS);
  const { source, values, optional } = marker;
  if (typeof source !== 'string' || source === '') problems.push('deletes.marker.source is no name');
  const isList =
    Array.isArray(values) &&
    values.length > 0 &&
    values.every((value) => typeof value === 'string' && value !== '');
  if (!isList || new Set(values).size !== (values as unknown[]).length)
    problems.push('deletes.marker.values is not a list of different texts');
  if (optional !== undefined && typeof optional !== 'boolean')
    problems.push('deletes.marker.optional is neither true nor false');
  return problems;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownMembers(what: string, given: object, known: readonly string[]): string[] {
  return Object.keys(given)
    .filter((name) => !known.includes(name))
    .map((name) => `${what} has no option "${name}"; it has ${known.join(', ')}`);
}
