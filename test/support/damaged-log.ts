import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A batch of records as it stands in a segment file. */
export interface StoredBatch {
  readonly at: number;
  readonly firstOffset: bigint;
  /** Its length field's, and the field's own place and the offset's before it. */
  readonly bytes: number;
}

const FRAME_BYTES = 12;

/** The batches in the first segment of a partition. @param dataFolder `log.dirs` of the broker */
export function storedBatches(dataFolder: string, topic: string, partition: number): StoredBatch[] {
  const bytes = readFileSync(segmentOf(dataFolder, topic, partition));
  const batches: StoredBatch[] = [];
  for (let at = 0; at + FRAME_BYTES < bytes.length;) {
    const batch = {
      at,
      firstOffset: bytes.readBigInt64BE(at),
      bytes: FRAME_BYTES + bytes.readInt32BE(at + 8),
    };
    batches.push(batch);
    at += batch.bytes;
  }
  return batches;
}

/**
 * Writes over a segment file, as a disk that goes bad does. The broker may be running: it reads its files for each fetch,
 * and checks nothing of what it sends.
 */
export function damageLog(
  dataFolder: string,
  { topic, partition, at }: { readonly topic: string; readonly partition: number; readonly at: number },
  bytes: Buffer,
): void {
  const file = openSync(segmentOf(dataFolder, topic, partition), 'r+');
  try {
    writeSync(file, bytes, 0, bytes.length, at);
  } finally {
    closeSync(file);
  }
}

function segmentOf(dataFolder: string, topic: string, partition: number): string {
  return join(dataFolder, `${topic}-${partition}`, '00000000000000000000.log');
}
