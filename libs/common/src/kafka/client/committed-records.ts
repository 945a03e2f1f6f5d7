/**
 * Which records of a fetched partition a reader of committed messages takes. PURE.
 *
 * Why not kafkajs's own filter: it expects aborted transactions in the order of their first offsets, begins one of them per
 * record, and takes any message with a key of four zero bytes for the end of a transaction.
 */
import type { DecodedRecord } from './record-reader.js';

/** One that was aborted, as a broker names it in its answer to a fetch of committed messages. */
export interface AbortedTransaction {
  readonly producerId: string;
  readonly firstOffset: string;
}

/** What a filter looks at. Messages of old brokers belong to no batch. */
export type TransactionalRecord = Pick<DecodedRecord, 'offset' | 'key' | 'isControlRecord'> & {
  readonly batchContext?: Pick<DecodedRecord['batchContext'], 'producerId' | 'inTransaction'>;
};

/** Type of a control record that ends an aborted transaction: the second half of its key. */
const ABORT = 0;

/**
 * The messages of a fetched partition without those of aborted transactions, and without the marks that end transactions.
 * @param records in the order of their offsets
 */
export function committedOf<T extends TransactionalRecord>(
  records: readonly T[],
  aborted: readonly AbortedTransaction[],
): readonly T[] {
  const begins = aborted
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: BigInt(firstOffset) }))
    .sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : a.firstOffset > b.firstOffset ? 1 : 0));
  if (begins.length === 0) return records.filter(({ isControlRecord }) => !isControlRecord);
  const open = new Set<string>();
  let next = 0;
  return records.filter(({ offset, key, isControlRecord, batchContext }) => {
    const at = BigInt(offset);
    for (let begin = begins[next]; begin !== undefined && begin.firstOffset <= at; begin = begins[next]) {
      open.add(begin.producerId);
      next += 1;
    }
    if (isControlRecord) {
      if (batchContext !== undefined && isAbort(key)) open.delete(batchContext.producerId);
      return false;
    }
    return batchContext?.inTransaction !== true || !open.has(batchContext.producerId);
  });
}

function isAbort(key: Buffer | null): boolean {
  return key !== null && key.length >= 4 && key.readInt16BE(2) === ABORT;
}
