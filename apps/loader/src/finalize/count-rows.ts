import type { PoolClient } from 'pg';

/** @param table qualified and quoted */
export async function countRows(client: PoolClient, table: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(`SELECT count(*) AS count FROM ${table}`);
  return Number(rows[0]?.count ?? 0);
}
