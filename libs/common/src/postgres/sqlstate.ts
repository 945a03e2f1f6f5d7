import { isNativeError } from 'node:util/types';

/**
 * What a PostgreSQL error means for a batch: one table (DESIGN section 9), closed on the side of caution.
 * - `record`: the row's own fault; only these ever become dead letters (G10), and only on our own table.
 * - `retry`: try the transaction again at once.
 * - `wait`: the database's state; pause and back off, for as long as it takes.
 * - `schema`: tables and contract do not fit; the job is paused with reason `schema`.
 * - `unknown`: pause and alarm.
 */
export type FaultKind = 'record' | 'retry' | 'wait' | 'schema' | 'unknown';

const RECORD_FAULTS = new Set([
  '22001', // string_data_right_truncation
  '22003', // numeric_value_out_of_range
  '22007', // invalid_datetime_format
  '22008', // datetime_field_overflow
  '22021', // character_not_in_repertoire
  '22P02', // invalid_text_representation
  '22P05', // untranslatable_character
  '23502', // not_null_violation
  '23503', // foreign_key_violation
  '23505', // unique_violation
  '23514', // check_violation
  '54000', // program_limit_exceeded
]);
const RETRY_AT_ONCE = new Set(['40001', '40P01']);
const WAITS = new Set(['25006', '55P03']);
const WAIT_CLASSES = new Set(['08', '53', '57', '58']);
const SCHEMA_STATES = new Set(['22P04']);
const SCHEMA_CLASSES = new Set(['42']);

/** Node's own words for a connection that is not there. */
const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** pg reports a lost connection by message only. */
const LOST_CONNECTION =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error/i;

export function classifyDatabaseError(error: unknown): FaultKind {
  // Not `instanceof`: an error of Node's own modules is of another realm when the code runs in a VM context.
  if (!isNativeError(error)) return 'unknown';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (NETWORK_CODES.has(code) || LOST_CONNECTION.test(error.message)) return 'wait';
  if ('errors' in error && Array.isArray(error.errors)) {
    return error.errors.some((inner) => classifyDatabaseError(inner) === 'wait') ? 'wait' : 'unknown';
  }
  if (RECORD_FAULTS.has(code)) return 'record';
  if (RETRY_AT_ONCE.has(code)) return 'retry';
  if (WAITS.has(code) || WAIT_CLASSES.has(code.slice(0, 2))) return 'wait';
  if (SCHEMA_STATES.has(code) || SCHEMA_CLASSES.has(code.slice(0, 2))) return 'schema';
  return 'unknown';
}

/** The SQLSTATE of a database error, or null for anything else. */
export function sqlstateOf(error: unknown): string | null {
  const code = isNativeError(error) && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}
