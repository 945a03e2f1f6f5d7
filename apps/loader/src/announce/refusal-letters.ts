import { SluiceError } from '#common/errors/sluice-error.js';
import type { CsvDialect } from '#core/dataset/csv-dialect.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import type { UnannouncedBatch } from '#core/ledger/ledger.repository.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import { BatchFacts } from '#core/message/message-facts.js';
import type { RawMessage } from '#core/message/raw-message.js';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import { type RecordWalker, walkerOf } from '#core/record/record-walker.js';

/**
 * Dead letters for refusals of a batch whose raw message cannot be read: every reason, no bytes, and the batch's
 * place instead of the record's. Pure.
 * @param why in a clause, e.g. `it is no longer in its topic`
 */
export function lettersWithoutBytes(
  batch: UnannouncedBatch,
  refusals: readonly LoadRefusal[],
  why: string,
): DeadLetter[] {
  const { dataset, job, firstLine, byteStart, byteEnd } = batch;
  return refusals.map(({ record, findings, sqlstate }) => ({
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
        message: `its bytes cannot be had from its raw message any more: ${why}; the record stands in bytes ${byteStart} to ${byteEnd} of the source, on line ${firstLine} or later`,
        severity: 'warning',
      },
    ],
    sqlstate,
    attempt: 0,
    columns: null,
    bytes: Buffer.alloc(0),
  }));
}

/**
 * The dead letters of load-stage refusals of one batch: reasons from the ledger's outbox, bytes and place from the raw
 * message. Pure, so the dead letters are the same however often they are made. None is left out: a record that the
 * message does not hold comes without bytes, at the end.
 * @param csv how the records of the batch are written (`Dataset.csv`)
 */
export function* lettersOf(
  batch: UnannouncedBatch,
  refusals: readonly LoadRefusal[],
  raw: RawMessage,
  csv: CsvDialect | undefined,
): Generator<DeadLetter> {
  const refusalOf = new Map(refusals.map((refusal) => [refusal.record, refusal]));
  const walker = walkerOf(raw.batch, { format: raw.format, csv });
  const { messages } = raw.batch;
  const facts = messages === undefined ? null : new BatchFacts(messages, raw.batch.batch);
  while (refusalOf.size > 0 && holdsMore(walker)) {
    const record = raw.batch.firstRecord + walker.index;
    const refusal = refusalOf.get(record);
    if (!refusal) continue;
    refusalOf.delete(record);
    yield {
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
      ...facts?.messageOf(walker.index),
    };
  }
  yield* lettersWithoutBytes(batch, [...refusalOf.values()], 'it does not hold the record');
}

/** If the dataset's dialect has changed since, a batch does not hold the records that it says: the rest has no bytes (KA1). */
function holdsMore(walker: RecordWalker): boolean {
  try {
    return walker.next();
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'MESSAGE_INVALID') return false;
    throw error;
  }
}
