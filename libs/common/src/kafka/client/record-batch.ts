/** Decodes one batch of records, or one message set of an old broker (record-batches.ts). */
import { crc32, crc32c } from '@node-rs/crc32';
import { messageOf } from '../../errors/sluice-error.js';
import { CODECS, MAX_UNPACKED_BYTES } from './codecs/codecs.js';
import { BATCH_MAGIC, type BatchContext, type DecodedRecord, RecordReader } from './record-reader.js';

/** What old brokers keep: kafkajs decodes it. */
export type DecodeMessageSet = (bytes: Buffer) => Promise<readonly object[]>;

/** Places in a batch, from its begin; up to the magic old message sets have the same. */
export const AT = {
  length: 8,
  leaderEpoch: 12,
  oldChecksum: 12,
  magic: 16,
  checksum: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  firstSequence: 53,
  count: 57,
  records: 61,
} as const;
/** First offset and length: what the length does not count. */
export const FRAME_BYTES = 12;
export const SMALLEST_OLD_MESSAGE_BYTES = 14;

const CODEC_MASK = 0x07;
const LOG_APPEND_TIME_MASK = 0x08;
const TRANSACTION_MASK = 0x10;
const CONTROL_MASK = 0x20;
/** A request of ours has some 15,000 dead letters at most, of fifteen headers each. */
const MAX_RECORDS = 100_000;
/** What a decoded record takes besides its bytes, about. */
const RECORD_OVERHEAD_BYTES = 300;
/** Its length, attributes, two deltas, the lengths of key and value, a count of headers: a byte each at least. */
export const SMALLEST_RECORD_BYTES = 7;

/** What a batch or a set holds. */
export interface DecodedEntry {
  readonly messages: readonly object[];
  /** Unpacked. */
  readonly bytes: number;
}

/** @throws RangeError that says in which way it is none */
export async function decodeEntry(entry: Buffer, decodeMessageSet: DecodeMessageSet): Promise<DecodedEntry> {
  const magic = entry.readInt8(AT.magic);
  if (magic === BATCH_MAGIC) return decodeBatch(entry);
  if (magic > BATCH_MAGIC || magic < 0) throw new RangeError(`its format is ${magic}, which is not known`);
  if (!hasRightChecksum(entry)) throw new RangeError('its checksum is wrong');
  const messages = await decodeMessageSet(entry);
  if (messages.length === 0) throw new RangeError('it holds no message');
  return { messages, bytes: entry.length };
}

/** @param entry a whole batch or message set, by what its length says */
export function hasRightChecksum(entry: Buffer): boolean {
  if (entry.readInt8(AT.magic) !== BATCH_MAGIC)
    return crc32(entry.subarray(AT.magic)) === entry.readUInt32BE(AT.oldChecksum);
  return (
    entry.length >= AT.records && crc32c(entry.subarray(AT.attributes)) === entry.readUInt32BE(AT.checksum)
  );
}

async function decodeBatch(batch: Buffer): Promise<DecodedEntry> {
  if (batch.length < AT.records) throw new RangeError('its head is cut off');
  const context = contextOf(batch);
  const attributes = batch.readInt16BE(AT.attributes);
  if (!hasRightChecksum(batch)) throw new RangeError('its checksum is wrong');
  if (context.lastOffsetDelta < 0) throw new RangeError('its last offset is before its first one');
  const records = await unpacked(attributes & CODEC_MASK, batch.subarray(AT.records));
  const count = batch.readInt32BE(AT.count);
  if (count < 0 || count * SMALLEST_RECORD_BYTES > records.length)
    throw new RangeError(`it says that it holds ${count} records, in ${records.length} bytes`);
  if (count > MAX_RECORDS) throw new RangeError(`it holds ${count} records, and ${MAX_RECORDS} are allowed`);
  const reader = new RecordReader(records);
  const messages: DecodedRecord[] = [];
  for (let record = 0; record < count; record++) messages.push(reader.record(context));
  if (!reader.isAtEnd()) throw new RangeError('bytes are left over behind its records');
  // Everything in it was removed by compaction: kafkajs moves on behind a control record only.
  if (count === 0) messages.push(emptyRecord(context, { isControlRecord: true }));
  return { messages, bytes: records.length + messages.length * RECORD_OVERHEAD_BYTES };
}

async function unpacked(codecNumber: number, bytes: Buffer): Promise<Buffer> {
  if (codecNumber === 0) return bytes;
  const codec = CODECS.get(codecNumber);
  if (!codec) throw new RangeError(`it is compressed in a way that is not known (${codecNumber})`);
  try {
    return await codec.inflate(bytes, MAX_UNPACKED_BYTES);
  } catch (error) {
    throw new RangeError(`it cannot be unpacked as ${codec.name}: ${messageOf(error)}`, { cause: error });
  }
}

function contextOf(batch: Buffer): BatchContext {
  const attributes = batch.readInt16BE(AT.attributes);
  return {
    firstOffset: batch.readBigInt64BE(0).toString(),
    firstTimestamp: batch.readBigInt64BE(AT.firstTimestamp).toString(),
    partitionLeaderEpoch: batch.readInt32BE(AT.leaderEpoch),
    inTransaction: (attributes & TRANSACTION_MASK) !== 0,
    isControlBatch: (attributes & CONTROL_MASK) !== 0,
    lastOffsetDelta: batch.readInt32BE(AT.lastOffsetDelta),
    producerId: batch.readBigInt64BE(AT.producerId).toString(),
    producerEpoch: batch.readInt16BE(AT.producerEpoch),
    firstSequence: batch.readInt32BE(AT.firstSequence),
    maxTimestamp: batch.readBigInt64BE(AT.maxTimestamp).toString(),
    timestampType: (attributes & LOG_APPEND_TIME_MASK) !== 0 ? 1 : 0,
    magicByte: BATCH_MAGIC,
  };
}

/** Of a batch of which nothing is known. */
export const NO_CONTEXT: BatchContext = {
  firstOffset: '0',
  firstTimestamp: '0',
  partitionLeaderEpoch: -1,
  inTransaction: false,
  isControlBatch: false,
  lastOffsetDelta: 0,
  producerId: '-1',
  producerEpoch: -1,
  firstSequence: -1,
  maxTimestamp: '0',
  timestampType: 0,
  magicByte: BATCH_MAGIC,
};

/** A message without contents, at the last offset of its batch. */
export function emptyRecord(
  context: BatchContext,
  { isControlRecord }: { readonly isControlRecord: boolean },
): DecodedRecord {
  return {
    magicByte: BATCH_MAGIC,
    attributes: 0,
    timestamp: context.maxTimestamp,
    offset: (BigInt(context.firstOffset) + BigInt(context.lastOffsetDelta)).toString(),
    key: null,
    value: null,
    headers: {},
    isControlRecord,
    batchContext: context,
  };
}
