import type { UnannouncedBatch } from '#core/ledger/ledger.repository.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { RawMessage } from '#core/message/raw-message.js';
import { GENERAL_FINDING_CODES } from '#core/record/finding.js';
import { RecordWalker } from '#core/record/record-walker.js';

/**
 * What can be told of a batch's refusals when its raw message has expired: every reason, no bytes, and the batch's
 * place instead of the record's. Pure.
 */
export function lettersWithoutBytes(batch: UnannouncedBatch): DeadLetter[] {
  const { dataset, job, firstLine, byteStart, byteEnd } = batch;
  return batch.refusals.map(({ record, findings, sqlstate }) => ({
    dataset,
    job,
    batch: batch.batch,
    epoch: batch.epoch,
    record,
    line: firstLine,
    byteStart,
    byteEnd,
    stage: 'load',
    findings: [
      ...findings,
      {
        code: GENERAL_FINDING_CODES.BYTES_EXPIRED,
        field: null,
        message: `its bytes have expired from the raw topic; it stands in bytes ${byteStart} to ${byteEnd} of the source, on line ${firstLine} or later`,
        severity: 'warning',
      },
    ],
    sqlstate,
    attempt: 0,
    columns: [],
    bytes: Buffer.alloc(0),
  }));
}

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
      epoch: batch.epoch,
      stage: 'load',
      findings: refusal.findings,
      sqlstate: refusal.sqlstate,
      attempt: raw.attempt,
      columns: raw.columns,
    });
  }
  return letters;
}
