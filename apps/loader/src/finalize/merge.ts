import type { PoolClient } from 'pg';
import type { Outcome } from '#core/ledger/balance.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import type { TargetFacts } from '#core/staging/target-facts.js';

/** How a settled job's staging tables get into the targets without replacing them. */
export interface MergeWay {
  /** Records that repeat a key of the same job are refused before the merge; otherwise the merge chooses among them. */
  readonly repeatsAreRefused: boolean;
  /** Merges all tables, in the caller's transaction. */
  merge(client: PoolClient, jobId: string, tables: readonly TablePlan[]): Promise<Outcome>;
  /** What {@link merge} would yield, without touching the targets or their sequences. */
  foresee(
    client: PoolClient,
    jobId: string,
    tables: readonly TablePlan[],
    targets: readonly TargetFacts[],
  ): Promise<Outcome>;
}

/** @param table qualified and quoted */
export async function countRows(client: PoolClient, table: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(`SELECT count(*) AS count FROM ${table}`);
  return Number(rows[0]?.count ?? 0);
}
