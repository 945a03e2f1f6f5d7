import { SluiceError } from '#common/errors/sluice-error.js';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';
import { STAGING_SCHEMA } from '#core/staging/staging-names.js';
import type { FinalizingJob } from './finalizing-job.js';

/** PostgreSQL names no table when an index row is longer than a page; nothing but data is that long. */
const ROW_TOO_LONG = '54000';

/**
 * What an error means for the job that was being finalized: it fails, it is paused until an operator has fixed the
 * tables, or nothing yet (null), and finalizing is tried again (FZ3, HJ2).
 */
export type Decision =
  | { readonly state: 'failed'; readonly error: SluiceError }
  | {
      readonly state: 'paused';
      readonly reason: 'schema' | 'contract' | 'fault';
      readonly error: SluiceError;
    };

/** @param targetSchema of the job's tables */
export function decisionOf(
  error: unknown,
  { dataset, id: job }: FinalizingJob,
  targetSchema: string,
): Decision | null {
  const place = { dataset, job };
  if (error instanceof SluiceError) {
    if (error.code === 'CONTRACT_MISMATCH') return { state: 'paused', reason: 'contract', error };
    if (error.code === 'JOB_SCHEMA') return { state: 'paused', reason: 'schema', error };
    const saysNothing = error.retryable || error.code === 'JOB_LOST' || error.code === 'INTERNAL';
    return saysNothing ? null : { state: 'failed', error };
  }
  const kind = classifyDatabaseError(error);
  if (kind === 'schema' && error instanceof Error) {
    // Messages of these classes name relations, columns and privileges, never a value.
    const text = `PostgreSQL refuses to finalize: ${error.message} (SQLSTATE ${sqlstateOf(error) ?? ''}).`;
    return {
      state: 'paused',
      reason: 'schema',
      error: new SluiceError('JOB_SCHEMA', text, place, { cause: error }),
    };
  }
  // Only what a data table refuses is the records' fault; our own statements would be at fault otherwise.
  if (kind !== 'record' || !namesDataTable(error, targetSchema)) return null;
  const { table, constraint } = error;
  const text = `PostgreSQL refused ${constraint ?? 'a row'} of ${table ?? 'a table'} (SQLSTATE ${sqlstateOf(error) ?? ''}).`;
  return { state: 'failed', error: new SluiceError('FINALIZE_REFUSED', text, place, { cause: error }) };
}

function namesDataTable(
  error: unknown,
  targetSchema: string,
): error is Error & { table?: string; constraint?: string } {
  const schema = error instanceof Error && 'schema' in error ? error.schema : undefined;
  return schema === STAGING_SCHEMA || schema === targetSchema || sqlstateOf(error) === ROW_TOO_LONG;
}
