import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';

/** A record that PostgreSQL refuses when it is written alone. */
export interface RefusedRecord {
  readonly record: number;
  /** Holds nothing of the record. */
  readonly message: string;
  readonly sqlstate: string;
  /** The constraint or index that PostgreSQL names. */
  readonly constraint: string | null;
}

/** Why a merge was undone, and what has to be settled before it is tried again. */
export type Obstacle =
  | { readonly kind: 'repeats' }
  | { readonly kind: 'unique'; readonly table: string; readonly index: string }
  | { readonly kind: 'outer orphans' }
  | { readonly kind: 'orphans' }
  | { readonly kind: 'refused'; readonly records: readonly RefusedRecord[] };

/** Undoes the transaction that it is thrown in; never leaves the finalizer. */
export class MergeStopped extends Error {
  constructor(readonly obstacle: Obstacle) {
    super(`The merge has to settle: ${obstacle.kind}.`);
  }
}

/**
 * SQLSTATE classes with which PostgreSQL refuses what a row holds: triggered action, cardinality, data exception,
 * integrity constraint, SQL routine, external routine (twice), check option, program limit, PL/pgSQL (a RAISE).
 */
const CLASSES_OF_RECORDS = new Set(['09', '21', '22', '23', '2F', '38', '39', '44', '54', 'P0']);
/** Of the COPY format: ours. */
const OURS = '22P04';
/**
 * Classes that PostgreSQL has for states of its own: connection, feature, transaction, authorization, catalogs, rollback,
 * syntax and access, resources, prerequisites, intervention, system, configuration, foreign data, internal.
 */
export const CLASSES_OF_STATES: ReadonlySet<string> = new Set([
  '08',
  '0A',
  '25',
  '26',
  '28',
  '2D',
  '3D',
  '3F',
  '40',
  '42',
  '53',
  '55',
  '57',
  '58',
  'F0',
  'HV',
  'XX',
]);
/** Where PostgreSQL's server code says that a RAISE of PL/pgSQL stands. */
const RAISE = 'exec_stmt_raise';

/**
 * Whether an error of a statement that writes rows, or builds an index over them, may be the fault of a single record.
 * Whether it is, is seen when the record is written alone. What a trigger or a function of an index raises counts, unless
 * its SQLSTATE is one of PostgreSQL's own states.
 */
export function isRecordsFault(error: unknown): boolean {
  const kind = classifyDatabaseError(error);
  if (kind === 'wait' || kind === 'retry') return false;
  const sqlstate = sqlstateOf(error);
  if (sqlstate === null || sqlstate === OURS) return false;
  const ofClass = sqlstate.slice(0, 2);
  if (CLASSES_OF_RECORDS.has(ofClass)) return true;
  return (error as { routine?: string }).routine === RAISE && !CLASSES_OF_STATES.has(ofClass);
}

/** Says why in words that hold nothing of the record: constraint, table, function and place, never PostgreSQL's message. */
export function reasonOf(error: unknown): string {
  const { table, constraint, where } = error as { table?: string; constraint?: string; where?: string };
  const inFunction = /PL\/pgSQL function ([^\n]*?) line (\d+)/.exec(where ?? '');
  const parts = [
    ...(constraint === undefined ? [] : [`constraint or index ${constraint}`]),
    ...(table === undefined ? [] : [`of ${table}`]),
    ...(inFunction === null ? [] : [`function ${inFunction[1] ?? ''}, line ${inFunction[2] ?? ''}`]),
  ];
  const at = parts.length === 0 ? '' : `: ${parts.join(' ')}`;
  return `PostgreSQL refused to merge the record${at} (SQLSTATE ${sqlstateOf(error) ?? 'unknown'}).`;
}
