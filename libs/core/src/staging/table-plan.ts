import type { QueryResult, QueryResultRow } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { TablePlan } from '../record/compile-contract.js';

export type { TablePlan };

/** A connection inside a transaction, as far as this room needs it; `pg.ClientBase` fits. */
export interface SqlClient {
  query<R extends QueryResultRow>(
    sql: string,
    parameters?: unknown[],
  ): Promise<Pick<QueryResult<R>, 'rows' | 'rowCount'>>;
}

/** The table whose rows are the records: one row each. */
export function mainTable(plan: readonly TablePlan[]): TablePlan {
  const [main] = plan;
  if (main === undefined) throw new SluiceError('INTERNAL', 'A dataset without tables.');
  return main;
}
