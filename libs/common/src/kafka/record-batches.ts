/**
 * Decodes what a fetch brings: batches of records (KIP-98), and message sets of old brokers.
 *
 * Why not kafkajs's own decoding: one batch that it cannot decode, be it compressed in a way that it does not know, cut
 * off or damaged, is an error of the whole fetch. The consumer then fetches the same again, a few times, and ends; after
 * its restart it meets the same batch. It checks no checksum either, and takes any length that a record claims.
 *
 * - RB1: what cannot be decoded becomes one {@link Undecodable} message in its place, at the last offset of its batch, so
 *   that it can be parked and passed over like any other (docs/decisions/0015).
 * - RB2: nothing is made of a size that only the bytes themselves claim: unpacked batches are bounded (codecs.ts), counts
 *   by the bytes that are there and by what they cost in memory, which is forty times as much for the smallest.
 * - RB3: of a partition no more is unpacked at once than MAX_AT_ONCE_BYTES and one batch; what is behind comes with the
 *   next fetch, as if the answer had ended there.
 * - RB4: what it can decode, it decodes as kafkajs does (`record-batches.spec.ts`).
 */
import { crc32c } from '@node-rs/crc32';
import { messageOf } from '../errors/sluice-error.js';
import { CODECS, MAX_UNPACKED_BYTES } from './codecs/codecs.js';

/** As kafkajs hands it to consumers. */
export interface DecodedRecord {
  readonly magicByte: number;
  readonly attributes: number;
  /** ms since 1970. */
  readonly timestamp: string;
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | null | (Buffer | null)[]>>;
  readonly isControlRecord: boolean;
  readonly batchContext: BatchContext;
}

interface BatchContext {
  readonly firstOffset: string;
  readonly firstTimestamp: string;
  readonly partitionLeaderEpoch: number;
  readonly inTransaction: boolean;
  readonly isControlBatch: boolean;
  readonly lastOffsetDelta: number;
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly maxTimestamp: string;
  readonly timestampType: number;
  readonly magicByte: number;
}

/** Why a batch could not be decoded, and which offsets it has. */
export interface Undecodable {
  readonly firstOffset: string;
  readonly lastOffset: string;
  /** Nothing of its contents. */
  readonly reason: string;
}

const UNDECODABLE = Symbol('undecodable');

/** @returns why the message is none, or null for one that was decoded */
export function undecodableOf(message: object): Undecodable | null {
  return (message as { [UNDECODABLE]?: Undecodable })[UNDECODABLE] ?? null;
}

/** What old brokers keep: kafkajs decodes it. */
export type DecodeMessageSet = (bytes: Buffer) => Promise<readonly object[]>;

/** RB3: compressed batches of some kilobytes may unpack to megabytes each. */
const MAX_AT_ONCE_BYTES = 4 * 1024 * 1024;

/** Places in a batch, from its begin; up to the magic old message sets have the same. */
const AT = {
  length: 8,
  leaderEpoch: 12,
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
const FRAME_BYTES = 12;
const BATCH_MAGIC = 2;
const SMALLEST_OLD_MESSAGE_BYTES = 14;

const CODEC_MASK = 0x07;
const LOG_APPEND_TIME_MASK = 0x08;
const TRANSACTION_MASK = 0x10;
const CONTROL_MASK = 0x20;
/** A request of ours has some 15,000 dead letters at most, of fifteen headers each. */
const MAX_RECORDS = 100_000;
const MAX_HEADERS = 400_000;
/** What a decoded record takes besides its bytes, about. */
const RECORD_OVERHEAD_BYTES = 300;
/** Its length, attributes, two deltas, the lengths of key and value, a count of headers: a byte each at least. */
const SMALLEST_RECORD_BYTES = 7;

/** @param bytes one or more batches, the last of which may be cut off by the limits of a fetch */
export async function decodeRecordBatches(
  bytes: Buffer,
  decodeMessageSet: DecodeMessageSet,
): Promise<object[]> {
  const messages: object[] = [];
  let taken = 0;
  for (let at = 0; at + AT.magic < bytes.length && taken < MAX_AT_ONCE_BYTES;) {
    const length = bytes.readInt32BE(at + AT.length);
    const end = at + FRAME_BYTES + length;
    if (length >= SMALLEST_OLD_MESSAGE_BYTES && end > bytes.length) break;
    const batch = bytes.subarray(at, end);
    try {
      if (length < SMALLEST_OLD_MESSAGE_BYTES) throw new RangeError(`its length is ${length}`);
      const decoded = await decodeEntry(batch, decodeMessageSet);
      for (const message of decoded.messages) messages.push(message);
      taken += decoded.bytes;
    } catch (error) {
      messages.push(undecodable(bytes.subarray(at), messageOf(error)));
      if (length < SMALLEST_OLD_MESSAGE_BYTES) break;
    }
    at = end;
  }
  return messages;
}

interface DecodedEntry {
  readonly messages: readonly object[];
  /** Unpacked. */
  readonly bytes: number;
}

async function decodeEntry(entry: Buffer, decodeMessageSet: DecodeMessageSet): Promise<DecodedEntry> {
  const magic = entry.readInt8(AT.magic);
  if (magic === BATCH_MAGIC) return decodeBatch(entry);
  if (magic > BATCH_MAGIC || magic < 0) throw new RangeError(`its format is ${magic}, which is not known`);
  return { messages: await decodeMessageSet(entry), bytes: entry.length };
}

async function decodeBatch(batch: Buffer): Promise<DecodedEntry> {
  if (batch.length < AT.records) throw new RangeError('its head is cut off');
  const context = contextOf(batch);
  const attributes = batch.readInt16BE(AT.attributes);
  if (crc32c(batch.subarray(AT.attributes)) !== batch.readUInt32BE(AT.checksum))
    throw new RangeError('its checksum is wrong');
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

const NO_CONTEXT: BatchContext = {
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

/** RB1. @param bytes from the batch's begin on; its head may be cut off */
function undecodable(bytes: Buffer, reason: string): DecodedRecord {
  const first = bytes.readBigInt64BE(0);
  const hasHead = bytes.length >= AT.records && bytes.readInt8(AT.magic) === BATCH_MAGIC;
  const delta = hasHead ? Math.max(0, bytes.readInt32BE(AT.lastOffsetDelta)) : 0;
  const [firstOffset, lastOffset] = [first.toString(), (first + BigInt(delta)).toString()];
  const context = { ...NO_CONTEXT, firstOffset, lastOffsetDelta: delta };
  const offsets = delta === 0 ? `offset ${firstOffset}` : `offsets ${firstOffset} to ${lastOffset}`;
  const facts: Undecodable = {
    firstOffset,
    lastOffset,
    reason: `a batch of ${offsets} cannot be decoded: ${reason}`,
  };
  return Object.assign(emptyRecord(context, { isControlRecord: false }), { [UNDECODABLE]: facts });
}

/** At the last offset of its batch. */
function emptyRecord(
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

/** Reads records one after the other, and nothing beyond the end of their bytes. */
class RecordReader {
  private at = 0;
  private headersRead = 0;

  constructor(private readonly bytes: Buffer) {}

  isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  record(context: BatchContext): DecodedRecord {
    const length = this.varInt();
    const end = this.at + length;
    if (length < 0 || end > this.bytes.length) throw new RangeError('a record of it is cut off');
    const attributes = this.byte();
    const timestampDelta = this.varLong();
    const offsetDelta = this.varInt();
    const key = this.sized();
    const value = this.sized();
    const headers = this.headers();
    if (this.at !== end) throw new RangeError('a record of it has another length than it says');
    const isStampedByBroker = context.timestampType === 1;
    return {
      magicByte: BATCH_MAGIC,
      attributes: (attributes << 24) >> 24,
      timestamp: isStampedByBroker
        ? context.maxTimestamp
        : (BigInt(context.firstTimestamp) + timestampDelta).toString(),
      offset: (BigInt(context.firstOffset) + BigInt(offsetDelta)).toString(),
      key,
      value,
      headers,
      isControlRecord: context.isControlBatch,
      batchContext: context,
    };
  }

  /** One that is given several times is a list. */
  private headers(): DecodedRecord['headers'] {
    const count = this.varInt();
    this.headersRead += count;
    if (count < 0 || count > this.bytes.length - this.at || this.headersRead > MAX_HEADERS)
      throw new RangeError('a record of it has too many headers');
    const headers = new Map<string, Buffer | null | (Buffer | null)[]>();
    for (let header = 0; header < count; header++) {
      const name = this.sized();
      if (name === null) throw new RangeError('a header of it has no name');
      const value = this.sized();
      const text = name.toString();
      const known = headers.get(text);
      if (known === undefined) headers.set(text, value);
      else if (Array.isArray(known)) known.push(value);
      else headers.set(text, [known, value]);
    }
    return Object.fromEntries(headers);
  }

  private byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw new RangeError('a record of it is cut off');
    this.at += 1;
    return byte;
  }

  /** Its length, then the bytes; null has length -1. */
  private sized(): Buffer | null {
    const length = this.varInt();
    if (length === -1) return null;
    const end = this.at + length;
    if (length < 0 || end > this.bytes.length) throw new RangeError('a record of it is cut off');
    const bytes = this.bytes.subarray(this.at, end);
    this.at = end;
    return bytes;
  }

  /** Zigzag, seven bits a byte, 32 bits. */
  private varInt(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new RangeError('a number in it has more than 32 bits');
  }

  /** The same with 64 bits; nearly always one byte. */
  private varLong(): bigint {
    const first = this.bytes[this.at];
    if (first !== undefined && first < 0x80) {
      this.at += 1;
      return BigInt((first >>> 1) ^ -(first & 1));
    }
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    throw new RangeError('a number in it has more than 64 bits');
  }
}
