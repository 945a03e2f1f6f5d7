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

/**
 * Whether batches that the ledger has already are what it has: equal bytes, places and counts. Validating is a pure
 * function, so anything else comes from another source, another contract or a stranger.
 * @returns BATCH_DIFFERS for the first one that is not; null when all are
 */
export async function findDiffering(
  client: SqlClient,
  job: string,
  repeated: readonly CleanMessage[],
): Promise<SluiceError | null> {
  if (repeated.length === 0) return null;
  const { rows } = await client.query<LoadedBatch>(
    `SELECT batch, first_record AS "firstRecord", first_line AS "firstLine", byte_start AS "byteStart",
       byte_end AS "byteEnd", crc32c, records, accepted, refused, skipped, warnings
     FROM sluice.ledger WHERE job = $1 AND batch = ANY($2::bigint[])`,
    [job, repeated.map(({ batch }) => batch)],
  );
  const loaded = new Map(rows.map((row) => [Number(row.batch), factsOf(row)]));
  for (const { batch, counts, ...message } of repeated) {
    const before = loaded.get(batch);
    const now = factsOf({ ...message, ...counts });
    const differences = (Object.keys(now) as (keyof typeof now)[]).filter(
      (fact) => before?.[fact] !== now[fact],
    );
    if (before === undefined || differences.length === 0) continue;
    const named = differences.map((fact) => `${fact} ${before[fact]}, now ${now[fact]}`).join('; ');
    return new SluiceError(
      'BATCH_DIFFERS',
      `Batch ${batch} of job ${job} came again with another content: ${named}.`,
      {
        job,
        batch,
      },
    );
  }
  return null;
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
