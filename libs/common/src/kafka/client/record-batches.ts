/**
 * Decodes what a fetch returns: batches of records (KIP-98), and message sets of old brokers.
 *
 * Why not kafkajs's own decoding: one batch that it cannot decode, because it is cut off, damaged, or compressed in a way
 * that kafkajs does not support, fails the whole fetch. The consumer then fetches the same again, a few times, and ends;
 * after its restart it meets the same batch. It does not verify checksums either, and trusts any length that a record claims.
 *
 * - KB1: what cannot be decoded becomes one {@link Undecodable} message in its place, at the last offset of its batch, so
 *   that it can be parked like any other (docs/decisions/0015).
 * - KB2: nothing is made of a size that only the bytes themselves claim: unpacked batches are bounded (codecs.ts), counts
 *   by the bytes that are there and by what they cost in memory, which is forty times as much for the smallest.
 * - KB3: of one partition no more is unpacked at once than MAX_AT_ONCE_BYTES and one batch; the rest comes with the next
 *   fetch, as if the response had ended there.
 * - KB4: what it can decode, it decodes as kafkajs does (`record-batches.spec.ts`).
 * - KB5: bytes bring at least one message. Only the last of several batches may be cut off: brokers send the first one whole,
 *   or nothing. Without a message the same bytes would be fetched again at once, for ever.
 * - KB6: after a batch whose length cannot be trusted, the next whole one is found by its checksum. The first offset and
 *   the length of a batch are the two fields that its own checksum does not cover.
 * - KB7: offsets ascend, and a batch takes none of its neighbour's: an offset that was trusted would be committed.
 */
import { messageOf } from '../../errors/sluice-error.js';
import {
  AT,
  type DecodeMessageSet,
  FRAME_BYTES,
  NO_CONTEXT,
  SMALLEST_OLD_MESSAGE_BYTES,
  SMALLEST_RECORD_BYTES,
  decodeEntry,
  emptyRecord,
  hasRightChecksum,
} from './record-batch.js';
import { BATCH_MAGIC, type DecodedRecord } from './record-reader.js';

/** Why messages could not be read, and which offsets they have. */
export interface Undecodable {
  readonly firstOffset: string;
  readonly lastOffset: string;
  /** Nothing of its contents. */
  readonly reason: string;
  /** The brokers do not send it: it says nothing about the message, which may be whole on another replica. */
  readonly isWithheld?: true;
}

const UNDECODABLE = Symbol('undecodable');

/** @returns why the message is none, or null for one that was decoded */
export function undecodableOf(message: object): Undecodable | null {
  return (message as { [UNDECODABLE]?: Undecodable })[UNDECODABLE] ?? null;
}

/** KB3: compressed batches of some kilobytes may unpack to megabytes each. */
const MAX_AT_ONCE_BYTES = 4 * 1024 * 1024;
/** Offsets of a batch count from its first one in 32 bits. */
const MAX_OFFSETS = 2n ** 31n;

/** @param bytes one or more batches, the last of which may be cut off by the limits of a fetch */
export async function decodeRecordBatches(
  bytes: Buffer,
  decodeMessageSet: DecodeMessageSet,
): Promise<object[]> {
  const messages: object[] = [];
  let taken = 0;
  /** Offsets below it are taken; null while nothing is known of them. */
  let due: bigint | null = null;
  for (let at = 0; at < bytes.length && taken < MAX_AT_ONCE_BYTES;) {
    const claim = claimAt(bytes, at);
    let { trouble } = claim;
    if (trouble === null) {
      try {
        const decoded = await decodeEntry(bytes.subarray(at, claim.end), decodeMessageSet);
        const last = lastOffsetAt(bytes, at, claim.end, due);
        for (const message of decoded.messages) messages.push(message);
        taken += decoded.bytes;
        due = last + 1n;
        at = claim.end;
        continue;
      } catch (error) {
        trouble = messageOf(error);
      }
    }
    const next = batchBehind(bytes, at, claim, due);
    // KB5: the ordinary end of an answer.
    if (claim.isCutOff && next === null && messages.length > 0) break;
    const nextOffset = next === null ? null : firstOffsetAt(bytes, next);
    const message = undecodable(bytes.subarray(at, claim.isCutOff ? undefined : claim.end), {
      reason: trouble,
      due,
      nextOffset,
    });
    messages.push(message);
    due = BigInt(message.offset) + 1n;
    if (next === null) break;
    at = next;
  }
  return messages;
}

/** What a batch says of its own end. */
interface Claim {
  readonly end: number;
  readonly isCutOff: boolean;
  /** Why there is none to decode. */
  readonly trouble: string | null;
}

function claimAt(bytes: Buffer, at: number): Claim {
  const there = bytes.length - at;
  if (there <= AT.magic) return { end: bytes.length, isCutOff: true, trouble: 'its head is cut off' };
  const length = bytes.readInt32BE(at + AT.length);
  if (length < SMALLEST_OLD_MESSAGE_BYTES)
    return { end: bytes.length, isCutOff: false, trouble: `its length is ${length}` };
  const end = at + FRAME_BYTES + length;
  if (end <= bytes.length) return { end, isCutOff: false, trouble: null };
  return {
    end,
    isCutOff: true,
    trouble: `its length is ${length}, of which ${there - FRAME_BYTES} were sent`,
  };
}

/** KB7. @throws RangeError when the first offset, which no checksum covers, cannot be the batch's own */
function lastOffsetAt(bytes: Buffer, at: number, end: number, due: bigint | null): bigint {
  const first = bytes.readBigInt64BE(at);
  if (first < (due ?? 0n)) throw new RangeError('its offsets are not behind those before it');
  if (bytes.readInt8(at + AT.magic) !== BATCH_MAGIC) return first;
  const last = first + BigInt(bytes.readInt32BE(at + AT.lastOffsetDelta));
  const next = firstOffsetAt(bytes, end);
  if (next === null || next > last || !isWholeAt(bytes, end)) return last;
  // One of the two is wrong: the next one if it is below what is due, or if the one behind it says so.
  const third = firstOffsetAt(bytes, claimAt(bytes, end).end);
  const isNextWrong = due === null ? third !== null && third > last : next < due;
  if (!isNextWrong) throw new RangeError('its offsets are those of the batch behind it');
  return last;
}

function firstOffsetAt(bytes: Buffer, at: number): bigint | null {
  return at + AT.length <= bytes.length ? bytes.readBigInt64BE(at) : null;
}

/** KB6. @returns where to continue after a batch that cannot be decoded, or null when everything sent belongs to it */
function batchBehind(bytes: Buffer, at: number, claim: Claim, due: bigint | null): number | null {
  if (bytes.length - at < AT.records) return null;
  const first = bytes.readBigInt64BE(at);
  const { end } = claim;
  const hasEnd = !claim.isCutOff && end < bytes.length;
  if (hasEnd && (isWholeAt(bytes, at) || isWholeAt(bytes, end))) return end;
  const count = bytes.readInt32BE(at + AT.lastOffsetDelta) + 1;
  const expected = first + BigInt(count);
  // Nearly every answer ends with a batch that is cut off: a value in it may hold what looks like a batch.
  const isOrdinary = claim.isCutOff && first === due && count === bytes.readInt32BE(at + AT.count);
  for (let magic = at + AT.magic; (magic = bytes.indexOf(BATCH_MAGIC, magic + 1)) !== -1;) {
    const found = magic - AT.magic;
    if (found <= at || !isWholeAt(bytes, found)) continue;
    const offset = bytes.readBigInt64BE(found);
    if (isOrdinary ? offset === expected : offset >= (due ?? 0n)) return found;
  }
  return hasEnd && isBegunAt(bytes, end, first) ? end : null;
}

/** Whether a batch that is cut off stands there. */
function isBegunAt(bytes: Buffer, at: number, before: bigint): boolean {
  if (bytes.length - at <= AT.magic) return true;
  const first = bytes.readBigInt64BE(at);
  const isNear = first > before && first - before <= MAX_OFFSETS;
  return claimAt(bytes, at).isCutOff && bytes.readInt8(at + AT.magic) <= BATCH_MAGIC && isNear;
}

function isWholeAt(bytes: Buffer, at: number): boolean {
  const { trouble, end } = claimAt(bytes, at);
  if (trouble !== null) return false;
  const magic = bytes.readInt8(at + AT.magic);
  return magic >= 0 && magic <= BATCH_MAGIC && hasRightChecksum(bytes.subarray(at, end));
}

/** What surrounds a batch that cannot be decoded. */
interface Surroundings {
  readonly reason: string;
  readonly due: bigint | null;
  /** The next batch's, when there is one. */
  readonly nextOffset: bigint | null;
}

/**
 * KB1 and KB7. Where neither a checksum nor two fields that agree vouch for a number of offsets, it is one, or all up to
 * the next batch: what is behind comes with the next fetch.
 * @param bytes from the batch's begin on; its head may be cut off
 */
function undecodable(bytes: Buffer, { reason, due, nextOffset }: Surroundings): DecodedRecord {
  const claimed = bytes.length >= AT.length ? bytes.readBigInt64BE(0) : (due ?? 0n);
  const atMost = nextOffset === null || nextOffset <= (due ?? 0n) ? null : nextOffset - 1n;
  let first = due ?? claimed;
  if (first < 0n || (atMost !== null && first > atMost)) first = atMost ?? 0n;
  const delta = believableDelta(bytes);
  const last = delta === null ? (atMost ?? first) : atMostOf(atMost, first + delta);
  return lostAt(first, last, { reason: `cannot be decoded: ${reason}` });
}

function atMostOf(bound: bigint | null, offset: bigint): bigint {
  return bound !== null && bound < offset ? bound : offset;
}

/** How many offsets are behind the first one of the batch, or null when that cannot be believed. */
function believableDelta(bytes: Buffer): bigint | null {
  if (bytes.length < AT.records || bytes.readInt8(AT.magic) !== BATCH_MAGIC) return null;
  const delta = bytes.readInt32BE(AT.lastOffsetDelta);
  const count = bytes.readInt32BE(AT.count);
  const isCounted = count === delta + 1 && count * SMALLEST_RECORD_BYTES <= bytes.length;
  return delta >= 0 && (isCounted || hasRightChecksum(bytes)) ? BigInt(delta) : null;
}

/** A message that stands for offsets that cannot be read. */
export function lostAt(
  first: bigint,
  last: bigint,
  { reason, isWithheld }: Pick<Undecodable, 'reason' | 'isWithheld'>,
): DecodedRecord {
  const [firstOffset, lastOffset] = [first.toString(), last.toString()];
  const offsets = first === last ? `offset ${firstOffset}` : `offsets ${firstOffset} to ${lastOffset}`;
  const context = { ...NO_CONTEXT, firstOffset, lastOffsetDelta: Number(last - first) };
  const facts: Undecodable = {
    firstOffset,
    lastOffset,
    reason: `a batch of ${offsets} ${reason}`,
    ...(isWithheld && { isWithheld }),
  };
  return Object.assign(emptyRecord(context, { isControlRecord: false }), { [UNDECODABLE]: facts });
}
