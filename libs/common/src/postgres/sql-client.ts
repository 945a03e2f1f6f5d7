import type { QueryResult, QueryResultRow } from 'pg';

/** Anything that takes SQL: a pool, a connection inside a transaction; `pg.ClientBase` fits. */
export interface SqlClient {
  query<R extends QueryResultRow>(
    sql: string,
    parameters?: unknown[],
  ): Promise<Pick<QueryResult<R>, 'rows' | 'rowCount'>>;
}
