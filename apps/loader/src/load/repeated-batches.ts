import { SluiceError } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { CleanMessage } from '#core/message/clean-message.js';

interface LoadedBatch {
  readonly batch: string;
  readonly firstRecord: string;
  readonly firstLine: string;
  readonly byteStart: string;
  readonly byteEnd: string;
  readonly crc32c: string;
  readonly records: number;
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
}

export interface KnownBatches {
  /** Those that the ledger has just so: they were loaded before, and their events may not have arrived. */
  readonly equal: readonly CleanMessage[];
  /** BATCH_DIFFERS, for the first one that the ledger has with another content; null when there is none. */
  readonly differing: SluiceError | null;
}

/**
 * Compares batches with what the ledger has of them: bytes, places and counts. Validating is a pure function, so a
 * batch that differs comes from another source, another contract or a stranger. Batches that the ledger does not have
 * are in neither part of the answer.
 */
export async function compareWithLedger(
  client: SqlClient,
  job: string,
  batches: readonly CleanMessage[],
): Promise<KnownBatches> {
  if (batches.length === 0) return { equal: [], differing: null };
  const { rows } = await client.query<LoadedBatch>(
    `SELECT batch, first_record AS "firstRecord", first_line AS "firstLine", byte_start AS "byteStart",
       byte_end AS "byteEnd", crc32c, records, accepted, refused, skipped, warnings
     FROM sluice.ledger WHERE job = $1 AND batch = ANY($2::bigint[])`,
    [job, batches.map(({ batch }) => batch)],
  );
  const loaded = new Map(rows.map((row) => [Number(row.batch), factsOf(row)]));
  const equal: CleanMessage[] = [];
  let differing: SluiceError | null = null;
  for (const message of batches) {
    const before = loaded.get(message.batch);
    if (before === undefined) continue;
    const now = factsOf({ ...message, ...message.counts });
    const differences = (Object.keys(now) as (keyof BatchFacts)[]).filter(
      (fact) => before[fact] !== now[fact],
    );
    if (differences.length === 0) equal.push(message);
    else differing ??= batchDiffers(job, message.batch, before, now, differences);
  }
  return { equal, differing };
}

function batchDiffers(
  job: string,
  batch: number,
  before: BatchFacts,
  now: BatchFacts,
  differences: readonly (keyof BatchFacts)[],
): SluiceError {
  const named = differences.map((fact) => `${fact} ${before[fact]}, now ${now[fact]}`).join('; ');
  const text = `Batch ${batch} of job ${job} came again with another content: ${named}.`;
  return new SluiceError('BATCH_DIFFERS', text, { job, batch });
}

type BatchFacts = Readonly<Record<Exclude<keyof LoadedBatch, 'batch'>, number>>;

function factsOf(batch: Readonly<Record<keyof BatchFacts, number | string>>): BatchFacts {
  return {
    firstRecord: Number(batch.firstRecord),
    firstLine: Number(batch.firstLine),
    byteStart: Number(batch.byteStart),
    byteEnd: Number(batch.byteEnd),
    crc32c: Number(batch.crc32c),
    records: Number(batch.records),
    accepted: Number(batch.accepted),
    refused: Number(batch.refused),
    skipped: Number(batch.skipped),
    warnings: Number(batch.warnings),
  };
}
