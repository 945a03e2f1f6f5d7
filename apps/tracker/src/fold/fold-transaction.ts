import type pg from 'pg';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { inTransaction } from '#common/postgres/pool.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';

/**
 * Runs `work` in one transaction.
 * @throws SluiceError DATABASE_UNAVAILABLE when waiting is enough: the whole delivery comes again
 */
export async function foldInTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  try {
    return await inTransaction(pool, work);
  } catch (error) {
    const kind = classifyDatabaseError(error);
    if (kind !== 'wait' && kind !== 'retry') throw error;
    throw new SluiceError('DATABASE_UNAVAILABLE', `Folding waits: ${messageOf(error)}`, {}, { cause: error });
  }
}

/** One array a column, as `unnest` takes them. */
export function columnsOf<T>(rows: readonly T[], columns: readonly ((row: T) => unknown)[]): unknown[][] {
  return columns.map((column) => rows.map(column));
}
