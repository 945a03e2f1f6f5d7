/**
 * What the messages of a raw batch say of themselves, as one compact table of bytes: it travels with every batch and is read
 * only when a record is refused. PURE.
 *
 * - MT1: a table stands alone: it names its topic, and nothing in it depends on the batches before it.
 * - MT2: what a `MessageTableReader` gives is what `MessageTable.add` was given, except that of key and headers together
 *   MAX_KEPT_BYTES are kept, and that the message is marked then.
 * - MT3: bytes that are no table, or end too early, are an error and never read beyond their end.
 *
 * Layout: version, topic; then for each message a byte of flags and what they announce. Numbers are varints (seven bits a
 * byte, the lowest first); texts and bytes have their length before them.
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import type { RawHeaders, ReadMessage } from '#common/kafka/message.js';

const VERSION = 1;

/** Of key and headers of one message. */
export const MAX_KEPT_BYTES = 16 * 1024;
/** What a header counts besides its bytes: thousands of empty ones take room as well. */
const HEADER_BYTES = 16;
const MAX_REASON_CHARACTERS = 200;

const NEW_PLACE = 0x01;
const HAS_KEY = 0x02;
const HAS_HEADERS = 0x04;
/** They are those of the last message that had any: most producers send the same ones with every message. */
const SAME_HEADERS = 0x08;
const IS_CUT = 0x10;
const IS_UNDECODABLE = 0x20;
const IS_EARLIER = 0x40;
const ABSOLUTE_TIME = 0x80;

/** What a table keeps of a message. */
export interface TabledMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** ms since 1970; -1 where the producer gave none. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  /** In the order in which the message has them, except that those of one name stand together. */
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[];
  /** Its key or headers are longer, or more, than what was kept. */
  readonly isCut: boolean;
  readonly undecodable: { readonly firstOffset: number; readonly reason: string } | null;
}

/** A table that grows. */
export class MessageTable {
  private bytes = Buffer.allocUnsafe(4 * 1024);
  private used = 0;
  private partition = -1;
  private nextOffset = 0;
  private lastTime = 0;
  private hasTime = false;
  /** The last headers as they stand in the table: [start, end). */
  private headersStart = 0;
  private headersEnd = 0;
  /** Of the last message, if none of them was cut, and what they took of its room. */
  private whole: { readonly headers: RawHeaders; readonly bytes: number; readonly flags: number } | null =
    null;

  constructor(private readonly topic: string) {
    this.begin();
  }

  get length(): number {
    return this.used;
  }

  /** @param message of a partition and offset that a number holds exactly */
  add(message: Pick<ReadMessage, 'place' | 'key' | 'headers' | 'timestamp' | 'undecodable'>): void {
    const { place, key, undecodable } = message;
    const offset = Number(place.offset);
    const start = this.used;
    this.byte(0);
    let flags = 0;
    if (place.partition !== this.partition || offset < this.nextOffset) {
      flags |= NEW_PLACE;
      this.number(place.partition);
      this.number(offset);
    } else this.number(offset - this.nextOffset);
    this.partition = place.partition;
    this.nextOffset = offset + 1;
    flags |= this.time(message.timestamp);
    let room = MAX_KEPT_BYTES;
    if (key !== null) {
      flags |= HAS_KEY;
      if (key.length > room) flags |= IS_CUT;
      const kept = key.length > room ? key.subarray(0, room) : key;
      room -= kept.length;
      this.sized(kept);
    }
    flags |= this.headers(message.headers, room);
    if (undecodable !== undefined) {
      flags |= IS_UNDECODABLE;
      this.number(Math.max(0, offset - Number(undecodable.firstOffset)));
      this.sized(Buffer.from(undecodable.reason.slice(0, MAX_REASON_CHARACTERS)));
    }
    this.bytes[start] = flags;
  }

  /** The table so far; the next one begins. */
  take(): Buffer {
    const table = Buffer.from(this.bytes.subarray(0, this.used));
    this.begin();
    return table;
  }

  private begin(): void {
    this.used = 0;
    this.partition = -1;
    this.nextOffset = 0;
    this.hasTime = false;
    this.headersStart = this.headersEnd = 0;
    this.whole = null;
    this.byte(VERSION);
    this.sized(Buffer.from(this.topic));
  }

  /** @returns the flags that say how the time stands there */
  private time(timestamp: number): number {
    const delta = timestamp - this.lastTime;
    const isDelta = this.hasTime && Number.isSafeInteger(delta);
    const written = isDelta ? delta : timestamp;
    this.number(Math.abs(written));
    this.hasTime = true;
    this.lastTime = timestamp;
    return (isDelta ? 0 : ABSOLUTE_TIME) | (written < 0 ? IS_EARLIER : 0);
  }

  /** @returns the flags that say which headers the message has */
  private headers(headers: RawHeaders, room: number): number {
    const { whole } = this;
    // A reader gives the messages of a batch one object as long as their headers are the same.
    if (whole !== null && whole.headers === headers && whole.bytes <= room) return whole.flags;
    this.whole = null;
    const start = this.used;
    let count = 0;
    let left = room;
    let isCut = false;
    for (const name in headers) {
      const given = headers[name];
      for (const value of Array.isArray(given) ? given : [given ?? null]) {
        const nameBytes = Buffer.byteLength(name);
        const bytes = typeof value === 'string' ? Buffer.from(value) : value;
        left -= HEADER_BYTES + nameBytes + (bytes?.length ?? 0);
        if (left < 0) {
          isCut = true;
          continue;
        }
        count += 1;
        this.number(nameBytes + 1);
        this.room(nameBytes);
        this.used += this.bytes.write(name, this.used);
        this.number(bytes === null ? 0 : bytes.length + 1);
        if (bytes !== null) this.append(bytes);
      }
    }
    const cut = isCut ? IS_CUT : 0;
    if (!isCut) this.whole = { headers, bytes: room - left, flags: count === 0 ? 0 : SAME_HEADERS };
    if (count === 0) {
      this.used = start;
      return cut;
    }
    this.byte(0);
    const length = this.used - start;
    if (
      length === this.headersEnd - this.headersStart &&
      this.bytes.compare(this.bytes, this.headersStart, this.headersEnd, start, this.used) === 0
    ) {
      this.used = start;
      return cut | SAME_HEADERS;
    }
    this.headersStart = start;
    this.headersEnd = this.used;
    return cut | HAS_HEADERS;
  }

  private sized(bytes: Buffer): void {
    this.number(bytes.length);
    this.append(bytes);
  }

  private append(bytes: Buffer): void {
    this.room(bytes.length);
    bytes.copy(this.bytes, this.used);
    this.used += bytes.length;
  }

  private byte(value: number): void {
    this.room(1);
    this.bytes[this.used] = value;
    this.used += 1;
  }

  /** A whole number from 0 to 2^53 - 1. */
  private number(value: number): void {
    this.room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.used] = (rest % 0x80) | 0x80;
      this.used += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.used] = rest;
    this.used += 1;
  }

  private room(more: number): void {
    if (this.used + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.used + more, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }
}

/** Goes through a table from its beginning. */
export class MessageTableReader {
  private readonly topic: string;
  private at = 0;
  private index = -1;
  private partition = 0;
  private nextOffset = 0;
  private lastTime = 0;
  private headers: TabledMessage['headers'] = [];

  /** @throws RangeError when the bytes are no table (MT3) */
  constructor(private readonly table: Buffer) {
    if (this.byte() !== VERSION) throw new RangeError('its version is not known');
    this.topic = this.sized().toString();
  }

  /**
   * @param index which message of the batch, from 0; each call with a larger one than the call before
   * @throws RangeError when the table does not come to it
   */
  message(index: number): TabledMessage {
    if (index <= this.index) throw new RangeError('its messages are read in their order only');
    for (;;) {
      const message = this.next();
      if (this.index === index) return message;
    }
  }

  private next(): TabledMessage {
    const flags = this.byte();
    this.index += 1;
    if ((flags & NEW_PLACE) !== 0) {
      this.partition = this.number();
      this.nextOffset = 0;
    }
    const offset = this.nextOffset + this.number();
    this.nextOffset = offset + 1;
    const time = this.number() * ((flags & IS_EARLIER) === 0 ? 1 : -1);
    this.lastTime = (flags & ABSOLUTE_TIME) === 0 ? this.lastTime + time : time;
    const key = (flags & HAS_KEY) === 0 ? null : this.sized();
    if ((flags & HAS_HEADERS) !== 0) this.headers = this.readHeaders();
    const hasHeaders = (flags & (HAS_HEADERS | SAME_HEADERS)) !== 0;
    return {
      topic: this.topic,
      partition: this.partition,
      offset,
      timestamp: this.lastTime,
      key,
      headers: hasHeaders ? this.headers : [],
      isCut: (flags & IS_CUT) !== 0,
      undecodable: (flags & IS_UNDECODABLE) === 0 ? null : this.undecodable(offset),
    };
  }

  private undecodable(offset: number): TabledMessage['undecodable'] {
    const firstOffset = offset - this.number();
    return { firstOffset, reason: this.sized().toString() };
  }

  private readHeaders(): TabledMessage['headers'] {
    const headers: (readonly [string, Buffer | null])[] = [];
    for (let length = this.number(); length > 0; length = this.number()) {
      const name = this.slice(length - 1).toString();
      const valueLength = this.number();
      headers.push([name, valueLength === 0 ? null : this.slice(valueLength - 1)]);
    }
    return headers;
  }

  private sized(): Buffer {
    return this.slice(this.number());
  }

  private slice(length: number): Buffer {
    const end = this.at + length;
    if (end > this.table.length) throw new RangeError('it ends too early');
    const bytes = this.table.subarray(this.at, end);
    this.at = end;
    return bytes;
  }

  private byte(): number {
    const byte = this.table[this.at];
    if (byte === undefined) throw new RangeError('it ends too early');
    this.at += 1;
    return byte;
  }

  private number(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw new RangeError('a number in it is too large');
  }
}

/**
 * The messages of one batch, its table opened when the first one is asked for.
 * @param batch for the error's place
 */
export class BatchMessages {
  private reader: MessageTableReader | null = null;

  constructor(
    private readonly table: Buffer,
    private readonly batch: number,
  ) {}

  /**
   * @param index which message of the batch, from 0; each call with a larger one than the call before
   * @throws SluiceError MESSAGE_INVALID when the table does not come to it
   */
  message(index: number): TabledMessage {
    try {
      this.reader ??= new MessageTableReader(this.table);
      return this.reader.message(index);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const text = `Batch ${this.batch}: its table of messages cannot be read (${error.message}).`;
      throw new SluiceError('MESSAGE_INVALID', text, { batch: this.batch });
    }
  }
}
