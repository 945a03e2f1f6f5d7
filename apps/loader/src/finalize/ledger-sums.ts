import type { LedgerTotals } from '#core/ledger/balance.js';
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';

/** What the ledger says of a job, in one pass: the figures that G1 and G2 are proved from. */
export async function ledgerTotals(client: SqlClient, jobId: string): Promise<LedgerTotals> {
  const { rows } = await prepared(client).query<Record<keyof LedgerTotals, string | null>>(TOTALS, [jobId]);
  const row = rows[0];
  // Sums of bigint arrive as text; every one of them stays below 2^53.
  const count = (name: keyof LedgerTotals): number => Number(row?.[name] ?? 0);
  const place = (name: keyof LedgerTotals): number | null => {
    const value = row?.[name] ?? null;
    return value === null ? null : Number(value);
  };
  return {
    batches: count('batches'),
    records: count('records'),
    accepted: count('accepted'),
    refusedAtValidate: count('refusedAtValidate'),
    skipped: count('skipped'),
    refusedAtLoad: count('refusedAtLoad'),
    warnings: count('warnings'),
    unbalancedBatches: count('unbalancedBatches'),
    gaps: count('gaps'),
    firstByte: place('firstByte'),
    lastByte: place('lastByte'),
    crc32cSum: count('crc32cSum'),
  };
}

/** Finding code → how often, the validator's and those of the load stage together. */
export async function ledgerFindings(client: SqlClient, jobId: string): Promise<Record<string, number>> {
  const { rows } = await prepared(client).query<{ findings: Record<string, number> }>(FINDINGS, [jobId]);
  return rows[0]?.findings ?? {};
}

/** The batches in the ledger, as PostgreSQL writes a multirange. */
export async function loadedBatches(client: SqlClient, jobId: string): Promise<string> {
  const { rows } = await client.query<{ batches: string }>(
    `SELECT coalesce(range_agg(int8range(batch, batch + 1)), '{}')::text AS batches FROM sluice.ledger WHERE job = $1`,
    [jobId],
  );
  return rows[0]?.batches ?? '{}';
}

const TOTALS = `
  SELECT count(*) AS batches, sum(records) AS records, sum(accepted) AS accepted, sum(refused) AS "refusedAtValidate",
         sum(skipped) AS skipped, sum(jsonb_array_length(load_refusals)) AS "refusedAtLoad", sum(warnings) AS warnings,
         count(*) FILTER (WHERE accepted + refused + skipped <> records) AS "unbalancedBatches",
         count(*) FILTER (WHERE batch <> due_batch OR first_record <> due_record OR byte_start <> due_byte) AS gaps,
         min(byte_start) AS "firstByte", max(byte_end) AS "lastByte",
         sum(crc32c) AS "crc32cSum"
  FROM (SELECT *, lag(batch, 1, -1::bigint) OVER each + 1 AS due_batch,
               lag(first_record + records, 1, 0::bigint) OVER each AS due_record,
               lag(byte_end, 1, byte_start) OVER each AS due_byte
        FROM sluice.ledger WHERE job = $1 WINDOW each AS (ORDER BY batch)) AS batches`;

const FINDINGS = `
  SELECT coalesce(jsonb_object_agg(code, times ORDER BY code), '{}') AS findings
  FROM (
    SELECT code, sum(times) AS times FROM (
      SELECT key AS code, value::bigint AS times
      FROM sluice.ledger CROSS JOIN jsonb_each_text(findings) WHERE job = $1
      UNION ALL
      SELECT finding ->> 'code', 1 FROM sluice.ledger
      CROSS JOIN jsonb_array_elements(load_refusals) AS refusal
      CROSS JOIN jsonb_array_elements(refusal -> 'findings') AS finding WHERE job = $1
    ) AS given GROUP BY code
  ) AS sums`;
