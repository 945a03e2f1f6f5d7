import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';

/** A SELECT of one column `problem`; empty when nothing is wrong. */
export interface ProblemQuery {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** Several of them as one statement, whose parameters are those of all, numbered through. PURE. */
export function together(queries: readonly ProblemQuery[]): { sql: string; values: unknown[] } {
  const values: unknown[] = [];
  const parts = queries.map(({ sql, values: own }, nth) => {
    const before = values.length;
    values.push(...own);
    const numbered = sql.replace(/\$(\d+)/g, (_, number: string) => `$${before + Number(number)}`);
    return `SELECT ${nth} AS nth, problem FROM (${numbered}\n) AS each_${nth} (problem)`;
  });
  return { sql: parts.join('\nUNION ALL\n'), values };
}

/** Whether any of them finds a problem, in one round trip. What it is called depends on the search path, this does not. */
export async function findsAny(client: SqlClient, queries: readonly ProblemQuery[]): Promise<boolean> {
  const { sql, values } = together(queries);
  const { rows } = await prepared(client).query(`${sql}\nLIMIT 1`, values);
  return rows.length > 0;
}

/** What each finds, one after the other. */
export async function problemsOf(client: SqlClient, queries: readonly ProblemQuery[]): Promise<string[]> {
  const problems: string[] = [];
  for (const { sql, values } of queries) {
    const { rows } = await client.query<{ problem: string }>(sql, [...values]);
    problems.push(...rows.map(({ problem }) => problem));
  }
  return problems;
}
