import { isNativeError } from 'node:util/types';

/**
 * What a PostgreSQL error means for a batch: one table (docs/failure.md, PostgreSQL), closed on the side of caution.
 * - `record`: the row's own fault, when it comes alone with one record; only these ever become dead letters (G10),
 *   and only on our own table. All of class 22 but 22P04: types, expressions and generated columns that users add
 *   refuse in any of its words (22000 for ranges, 22012 for a division, 22026 for bits).
 * - `retry`: try the transaction again at once.
 * - `wait`: the database's state; pause and back off, for as long as it takes.
 * - `schema`: tables and contract do not fit; the job is paused with reason `schema`.
 * - `unknown`: a few attempts, then the job is paused with reason `fault`.
 */
export type FaultKind = 'record' | 'retry' | 'wait' | 'schema' | 'unknown';

interface SqlstateFacts {
  readonly kind: Exclude<FaultKind, 'unknown'>;
  /** PostgreSQL's own name of it (appendix "PostgreSQL Error Codes"). */
  readonly name: string;
}

/** By whole SQLSTATE, or by class: its first two characters. docs/errors.md lists exactly these (a test compares). */
export const SQLSTATES: ReadonlyMap<string, SqlstateFacts> = new Map([
  ['22', { kind: 'record', name: 'class: data exception' }],
  ['23502', { kind: 'record', name: 'not_null_violation' }],
  ['23503', { kind: 'record', name: 'foreign_key_violation' }],
  ['23505', { kind: 'record', name: 'unique_violation' }],
  ['23514', { kind: 'record', name: 'check_violation' }],
  ['23P01', { kind: 'record', name: 'exclusion_violation' }],
  ['54000', { kind: 'record', name: 'program_limit_exceeded' }],
  ['54001', { kind: 'record', name: 'statement_too_complex' }],
  ['P0001', { kind: 'record', name: 'raise_exception' }],
  ['40001', { kind: 'retry', name: 'serialization_failure' }],
  ['40P01', { kind: 'retry', name: 'deadlock_detected' }],
  ['25006', { kind: 'wait', name: 'read_only_sql_transaction' }],
  ['55P03', { kind: 'wait', name: 'lock_not_available' }],
  ['08', { kind: 'wait', name: 'class: connection exception' }],
  ['53', { kind: 'wait', name: 'class: insufficient resources' }],
  ['57', { kind: 'wait', name: 'class: operator intervention' }],
  ['58', { kind: 'wait', name: 'class: system error' }],
  ['22P04', { kind: 'schema', name: 'bad_copy_file_format' }],
  ['42', { kind: 'schema', name: 'class: syntax error or access rule violation' }],
]);

/** Node's own words for a connection that is not there, or for which this process or machine has no file, port or memory left. */
const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EMFILE',
  'ENFILE',
  'EADDRNOTAVAIL',
  'ENOBUFS',
  'ENOMEM',
]);
/**
 * pg reports a lost connection by message only; and so does TypeORM, when it ends between two statements: the next one
 * finds its query runner released.
 */
const LOST_CONNECTION =
  /connection terminated|timeout exceeded when trying to connect|is not queryable|query runner (was )?already released|stream (was|has been) (ended|destroyed)|ended by the other party/i;

export function classifyDatabaseError(error: unknown): FaultKind {
  // Not `instanceof`: an error of Node's own modules is of another realm when the code runs in a VM context.
  if (!isNativeError(error)) return 'unknown';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (NETWORK_CODES.has(code) || LOST_CONNECTION.test(error.message)) return 'wait';
  if ('errors' in error && Array.isArray(error.errors)) {
    return error.errors.some((inner) => classifyDatabaseError(inner) === 'wait') ? 'wait' : 'unknown';
  }
  return (SQLSTATES.get(code) ?? SQLSTATES.get(code.slice(0, 2)))?.kind ?? 'unknown';
}

/** The SQLSTATE of a database error, or null for anything else. */
export function sqlstateOf(error: unknown): string | null {
  const code = isNativeError(error) && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}
