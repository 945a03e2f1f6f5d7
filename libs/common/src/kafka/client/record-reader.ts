/** One record of a batch after the other, as kafkajs hands them to consumers. */

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

/** What a batch's head says of all its records. */
export interface BatchContext {
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

/** The format of KIP-98. */
export const BATCH_MAGIC = 2;
const MAX_HEADERS = 400_000;

type Headers = DecodedRecord['headers'];

/** The headers of a record, and where they stand: [start, end). */
interface ReadHeaders {
  readonly start: number;
  readonly end: number;
  readonly count: number;
  readonly headers: Headers;
}

/**
 * Reads records one after the other, and nothing beyond the end of their bytes.
 * Records with the same headers as the one before share one object: nearly every producer sends the same ones each time.
 */
export class RecordReader {
  private at = 0;
  private headersRead = 0;
  private lastHeaders: ReadHeaders | null = null;
  private base: NumericBase | null = null;
  /** No record stands before the one ahead of it. */
  private lastDelta = -1;

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
    const headers = this.headers(end);
    if (this.at !== end) throw new RangeError('a record of it has another length than it says');
    if (offsetDelta <= this.lastDelta || offsetDelta > context.lastOffsetDelta)
      throw new RangeError('a record of it has an offset that is not its own');
    this.lastDelta = offsetDelta;
    const isStampedByBroker = context.timestampType === 1;
    const base = this.base?.context === context ? this.base : (this.base = numericBaseOf(context));
    return {
      magicByte: BATCH_MAGIC,
      attributes: (attributes << 24) >> 24,
      timestamp: isStampedByBroker
        ? context.maxTimestamp
        : sumText(base.firstTimestamp, timestampDelta, context.firstTimestamp),
      offset: sumText(base.firstOffset, offsetDelta, context.firstOffset),
      key,
      value,
      headers,
      isControlRecord: context.isControlBatch,
      batchContext: context,
    };
  }

  /** @param end of the record, where its headers end too */
  private headers(end: number): Headers {
    const start = this.at;
    const last = this.lastHeaders;
    if (
      last !== null &&
      last.end - last.start === end - start &&
      this.bytes.compare(this.bytes, last.start, last.end, start, end) === 0
    ) {
      this.countHeaders(last.count);
      this.at = end;
      return last.headers;
    }
    const [count, headers] = this.newHeaders();
    this.lastHeaders = { start, end: this.at, count, headers };
    return headers;
  }

  private countHeaders(count: number): void {
    this.headersRead += count;
    if (this.headersRead > MAX_HEADERS) throw new RangeError('a record of it has too many headers');
  }

  /** One that is given several times is a list. */
  private newHeaders(): [count: number, headers: Headers] {
    const count = this.varInt();
    if (count < 0 || count > this.bytes.length - this.at)
      throw new RangeError('a record of it has too many headers');
    this.countHeaders(count);
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
    return [count, Object.fromEntries(headers)];
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

  /** The same with 64 bits: a number where one holds it exactly, as nearly always. */
  private varLong(): number | bigint {
    const start = this.at;
    let value = 0;
    for (let scale = 1; scale <= LARGEST_SCALE; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
    this.at = start;
    return this.longVarLong();
  }

  private longVarLong(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    throw new RangeError('a number in it has more than 64 bits');
  }
}

/** Six more bytes of seven bits each behind the first one: below 2^49. */
const LARGEST_SCALE = 2 ** 42;

/** What the numbers of a batch's records count from; NaN where no number holds it exactly. */
interface NumericBase {
  readonly context: BatchContext;
  readonly firstOffset: number;
  readonly firstTimestamp: number;
}

function numericBaseOf(context: BatchContext): NumericBase {
  const exact = (text: string): number => (Number.isSafeInteger(Number(text)) ? Number(text) : NaN);
  const { firstOffset, firstTimestamp } = context;
  return { context, firstOffset: exact(firstOffset), firstTimestamp: exact(firstTimestamp) };
}

/** @param baseText the base as it is, for sums that no number holds */
function sumText(base: number, delta: number | bigint, baseText: string): string {
  if (typeof delta === 'number') {
    const sum = base + delta;
    if (Number.isSafeInteger(sum)) return String(sum);
  }
  return (BigInt(baseText) + BigInt(delta)).toString();
}
