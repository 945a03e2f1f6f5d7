import type pg from 'pg';
import type { BatchEvent } from '#core/message/status-event.js';

/** Ledger rows read at once: a few hundred bytes each. */
const PAGE_ROWS = 1_000;

interface LedgerFact {
  readonly job: string;
  readonly dataset: string;
  readonly batch: string;
  readonly records: number;
  readonly bytes: string;
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
  readonly findings: Record<string, number>;
  readonly loaded_at: Date;
}

/**
 * What the ledger says about batches, as the events that announced them: a batch that was loaded has been ingested and
 * validated before. Page after page, by job and batch. Their time is that of loading, which is later than the others'.
 */
export async function* ledgerFacts(pool: pg.Pool): AsyncGenerator<BatchEvent[]> {
  let after: readonly [string, string] = ['00000000-0000-0000-0000-000000000000', '-1'];
  for (;;) {
    const { rows } = await pool.query<LedgerFact>(
      `SELECT ledger.job, job.dataset, ledger.batch, ledger.records, ledger.byte_end - ledger.byte_start AS bytes,
              ledger.accepted, ledger.refused, ledger.skipped, ledger.warnings, ledger.findings, ledger.loaded_at
         FROM sluice.ledger JOIN sluice.job ON job.id = ledger.job
        WHERE (ledger.job, ledger.batch) > ($1, $2)
        ORDER BY ledger.job, ledger.batch LIMIT $3`,
      [...after, PAGE_ROWS],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.flatMap(eventsOf);
    after = [last.job, last.batch];
  }
}

/** The same counts that ingestor, validator and loader announce. */
function eventsOf({ batch, bytes, loaded_at, ...row }: LedgerFact): BatchEvent[] {
  const { job, dataset, records, accepted, refused, skipped, warnings, findings } = row;
  const fact = { type: 'batch', dataset, job, batch: Number(batch), records, bytes: Number(bytes) } as const;
  const none = { refused: 0, skipped: 0, warnings: 0, findings: {}, at: loaded_at.toISOString() };
  return [
    { ...fact, ...none, stage: 'ingest', accepted: records },
    { ...fact, ...none, stage: 'validate', accepted, refused, skipped, warnings, findings },
    { ...fact, ...none, stage: 'load', accepted },
  ];
}
