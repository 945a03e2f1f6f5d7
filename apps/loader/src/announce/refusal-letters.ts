import type { UnannouncedBatch } from '#core/ledger/ledger.repository.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { RawMessage } from '#core/message/raw-message.js';
import { RecordWalker } from '#core/record/record-walker.js';

/**
 * The dead letters of one batch's load-stage refusals: reasons from the ledger's outbox, bytes and place
 * from the raw message. Pure, so the letters are the same however often they are made.
 */
export function lettersOf(batch: UnannouncedBatch, raw: RawMessage): DeadLetter[] {
  const refusalOf = new Map(batch.refusals.map((refusal) => [refusal.record, refusal]));
  const letters: DeadLetter[] = [];
  const walker = new RecordWalker(raw.batch, raw.format);
  while (letters.length < refusalOf.size && walker.next()) {
    const refusal = refusalOf.get(raw.batch.firstRecord + walker.index);
    if (!refusal) continue;
    letters.push({
      ...walker.place(),
      dataset: raw.dataset,
      job: raw.job,
      batch: raw.batch.batch,
      stage: 'load',
      findings: refusal.findings,
      sqlstate: refusal.sqlstate,
      attempt: raw.attempt,
      columns: raw.columns,
    });
  }
  return letters;
}
