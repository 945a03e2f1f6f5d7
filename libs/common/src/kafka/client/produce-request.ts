/**
 * Encodes Kafka's Produce request (versions 3 to 7, record batches of KIP-98) straight into what goes to the socket.
 *
 * Why not kafkajs's own encoding: it copies each value nine times, into zeroed buffers of the next power of two, and
 * takes its checksum byte by byte in JavaScript (500 MB/s here, 8,000 MB/s by the processor's instruction). Publishing
 * was a third of ingestor's and validator's CPU time, half of that in collecting those buffers. Here sizes are added
 * up first and each value is copied once (`request-framing.ts` has the place for it). `produce-request.spec.ts` proves
 * the same bytes as kafkajs for any messages; whatever this does not know (compression, timestamps of the caller's) kafkajs
 * encodes as before.
 *
 * The one hook: `Produce.protocol` of kafkajs's table of requests, which its brokers look up for each request. kafkajs
 * is pinned to one version, and the spec fails when the hook does not hold any more.
 */
import { crc32c } from '@node-rs/crc32';
import { createRequire } from 'node:module';
import { type LargeBody, installRequestFraming } from './request-framing.js';

/** As kafkajs hands a request to its encoder. */
export interface ProduceRequest {
  readonly acks: number;
  readonly timeout: number;
  readonly compression?: number;
  readonly transactionalId?: string | null;
  /** kafkajs's Long; -1 without idempotence. */
  readonly producerId?: { toString(): string };
  readonly producerEpoch?: number;
  readonly topicData: readonly TopicData[];
}

interface TopicData {
  readonly topic: string;
  readonly partitions: readonly PartitionData[];
}

interface PartitionData {
  readonly partition: number;
  readonly firstSequence?: number;
  readonly messages: readonly ProducedMessage[];
}

type Bytes = Buffer | string;
/** A foreign producer's header may have no value. */
type HeaderValue = Bytes | null;
type Headers = Readonly<Record<string, HeaderValue | readonly HeaderValue[] | undefined>>;

interface ProducedMessage {
  readonly key?: Bytes | null;
  readonly value: Bytes | null;
  readonly headers?: Headers;
  readonly timestamp?: string;
  /** The result of {@link bodyOf} for it. */
  readonly body?: MessageBody;
}

/** A message as it travels, measured once. */
export interface MessageBody {
  /** As the first record of its batch. */
  readonly bodyBytes: number;
  readonly headerCount: number;
}

interface RequestDefinition {
  readonly request: { encode: () => Promise<unknown> };
  readonly response: unknown;
}

interface RequestTable {
  protocol: (of: { version: number }) => (request: ProduceRequest) => RequestDefinition;
}

const FIRST_VERSION = 3;
const MAGIC = 2;
const NULL_LENGTH = -1;
const TRANSACTIONAL = 0x10;
/** From the batch's attributes to its record count: what the checksum covers besides the records. */
const BATCH_HEAD_BYTES = 2 + 4 + 8 + 8 + 8 + 2 + 4 + 4;
/** Leader epoch, magic and checksum stand between the batch's length and what the checksum covers. */
const BEFORE_CHECKED_BYTES = 4 + 1 + 4;
/** Base offset and length. */
const BATCH_FRAME_BYTES = 8 + 4;
/** The length of at most N ASCII characters is one byte, zigzag. */
const MAX_SHORT_CHARACTERS = 63;

/** What a batch of records takes besides its records. */
export const BATCH_OVERHEAD_BYTES = BATCH_FRAME_BYTES + BEFORE_CHECKED_BYTES + BATCH_HEAD_BYTES;

/** A record's place in its batch takes up to five bytes, the one that is measured here takes one. */
const LARGEST_DELTA_BYTES = 5;

/**
 * What a message takes in a batch: key, headers and value, each with its length. At most four bytes more than it
 * really will be, because its place in the batch is not known yet.
 */
export function bytesOnTheWay(message: ProducedMessage): number {
  return bytesWith(bodyOf(message));
}

/** {@link bytesOnTheWay} of a message that is measured. */
export function bytesWith({ bodyBytes }: MessageBody): number {
  const atMost = bodyBytes + LARGEST_DELTA_BYTES - 1;
  return varIntBytes(atMost) + atMost;
}

/** Installs the hook in this process's kafkajs; once, before the first request. */
export function installProduceEncoding(): void {
  const table = createRequire(import.meta.url)(
    'kafkajs/src/protocol/requests/produce/index.js',
  ) as RequestTable & {
    isSluices?: true;
  };
  if (table.isSluices) return;
  table.isSluices = true;
  installRequestFraming();
  const { protocol } = table;
  table.protocol = ({ version }) => {
    const define = protocol({ version });
    return (request) => {
      const definition = define(request);
      if (version < FIRST_VERSION || !isPlain(request)) return definition;
      const encode = (): Promise<LargeBody> => Promise.resolve(new ProduceBody(request, Date.now()));
      return { ...definition, request: { ...definition.request, encode } };
    };
  };
}

/** No compression, and the time is now. */
function isPlain({ compression = 0, topicData }: ProduceRequest): boolean {
  return (
    compression === 0 &&
    topicData.every(({ partitions }) =>
      partitions.every(({ messages }) => messages.every(({ timestamp }) => timestamp === undefined)),
    )
  );
}

/** A request whose size is known, and whose bytes are written when their place is. */
export class ProduceBody implements LargeBody {
  readonly isLargeBody = true;
  readonly length: number;
  private readonly topics: readonly MeasuredTopic[];

  /** @param now time stamp of every record, ms */
  constructor(
    private readonly request: ProduceRequest,
    private readonly now: number,
  ) {
    this.topics = request.topicData.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((data) => ({ ...data, batch: measureBatch(data.messages) })),
    }));
    const { transactionalId = null } = request;
    let length = 2 + Buffer.byteLength(transactionalId ?? '') + 2 + 4 + 4;
    for (const { topic, partitions } of this.topics) {
      length += 2 + Buffer.byteLength(topic) + 4;
      for (const { batch } of partitions) length += 4 + 4 + BATCH_FRAME_BYTES + batch.bytes;
    }
    this.length = length;
  }

  writeTo(target: Buffer, offset: number): void {
    const { now, topics } = this;
    const { acks, timeout, transactionalId = null, producerId, producerEpoch = 0 } = this.request;
    const producer = {
      isTransactional: transactionalId !== null && transactionalId !== '',
      id: BigInt(producerId?.toString() ?? -1),
      epoch: producerEpoch,
    };
    const writer = new Writer(target, offset);
    writer.int16(transactionalId === null ? NULL_LENGTH : Buffer.byteLength(transactionalId));
    writer.bytes(transactionalId ?? '');
    writer.int16(acks);
    writer.int32(timeout);
    writer.int32(topics.length);
    for (const { topic, partitions } of topics) {
      writer.int16(Buffer.byteLength(topic));
      writer.bytes(topic);
      writer.int32(partitions.length);
      for (const { partition, firstSequence = 0, batch } of partitions) {
        writer.int32(partition);
        writer.int32(BATCH_FRAME_BYTES + batch.bytes);
        writeBatch(writer, batch, { now, producer, firstSequence });
      }
    }
  }
}

interface MeasuredTopic {
  readonly topic: string;
  readonly partitions: readonly (PartitionData & { readonly batch: MeasuredBatch })[];
}

interface MeasuredRecord {
  readonly bodyBytes: number;
  readonly offsetDelta: number;
  readonly key: Bytes | null;
  readonly value: Bytes | null;
  readonly headers: Headers;
  readonly headerCount: number;
}

interface MeasuredBatch {
  readonly records: readonly MeasuredRecord[];
  /** Behind the batch's length. */
  readonly bytes: number;
}

function measureBatch(messages: readonly ProducedMessage[]): MeasuredBatch {
  let bytes = BEFORE_CHECKED_BYTES + BATCH_HEAD_BYTES;
  const records = messages.map((message, offsetDelta) => {
    const record = measureRecord(message, offsetDelta);
    bytes += varIntBytes(record.bodyBytes) + record.bodyBytes;
    return record;
  });
  return { records, bytes };
}

function measureRecord(message: ProducedMessage, offsetDelta: number): MeasuredRecord {
  const { key = null, value, headers = {}, body = bodyOf(message) } = message;
  const { headerCount } = body;
  // The place of a batch's first record takes one byte.
  const bodyBytes = body.bodyBytes + varIntBytes(offsetDelta) - 1;
  return { bodyBytes, offsetDelta, key, value, headers, headerCount };
}

/** Measures a message as the first record of its batch. */
export function bodyOf({ key = null, value, headers = {} }: ProducedMessage): MessageBody {
  let headerCount = 0;
  // Attributes, a timestamp delta of 0 and a place of 0 take a byte each.
  let bodyBytes = 3 + sizedBytes(key) + sizedBytes(value);
  for (const name of Object.keys(headers)) {
    const nameBytes = sizedBytes(name);
    for (const each of valuesOf(headers[name])) {
      headerCount += 1;
      bodyBytes += nameBytes + sizedBytes(each);
    }
  }
  bodyBytes += varIntBytes(headerCount);
  return { bodyBytes, headerCount };
}

/** A header that is given several times is a list. */
function valuesOf(given: Headers[string]): readonly HeaderValue[] {
  if (given === undefined) return [];
  return given === null || typeof given === 'string' || Buffer.isBuffer(given) ? [given] : given;
}

interface BatchFacts {
  readonly now: number;
  readonly producer: { readonly isTransactional: boolean; readonly id: bigint; readonly epoch: number };
  readonly firstSequence: number;
}

function writeBatch(
  writer: Writer,
  { records, bytes }: MeasuredBatch,
  { now, producer, firstSequence }: BatchFacts,
): void {
  writer.int64(0); // base offset: the broker's to give
  writer.int32(bytes);
  writer.int32(0); // leader epoch
  writer.int8(MAGIC);
  const checksumAt = writer.offset;
  writer.int32(0);
  const checkedFrom = writer.offset;
  // Attributes: no compression, the producer's time.
  writer.int16(producer.isTransactional ? TRANSACTIONAL : 0);
  writer.int32(records.length - 1);
  writer.int64(now);
  writer.int64(now);
  writer.int64(producer.id);
  writer.int16(producer.epoch);
  writer.int32(firstSequence);
  writer.int32(records.length);
  for (const { bodyBytes, offsetDelta, key, value, headers, headerCount } of records) {
    writer.varInt(bodyBytes);
    writer.int8(0);
    writer.varInt(0);
    writer.varInt(offsetDelta);
    writer.sized(key);
    writer.sized(value);
    writer.varInt(headerCount);
    for (const [name, given] of Object.entries(headers)) {
      for (const each of valuesOf(given)) {
        writer.sized(name);
        writer.sized(each);
      }
    }
  }
  writer.buffer.writeUInt32BE(crc32c(writer.buffer.subarray(checkedFrom, writer.offset)), checksumAt);
}

/** Zigzag, seven bits a byte. */
function varIntBytes(value: number): number {
  const encoded = (value << 1) ^ (value >> 31);
  return Math.max(1, Math.ceil((32 - Math.clz32(encoded)) / 7));
}

function sizedBytes(value: Bytes | null): number {
  if (value === null) return 1;
  if (typeof value === 'string' && value.length <= MAX_SHORT_CHARACTERS && isAscii(value))
    return 1 + value.length;
  const bytes = Buffer.byteLength(value);
  return varIntBytes(bytes) + bytes;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** Into a buffer that has room for what was measured. */
class Writer {
  constructor(
    readonly buffer: Buffer,
    public offset: number,
  ) {}

  int8(value: number): void {
    this.offset = this.buffer.writeInt8(value, this.offset);
  }

  int16(value: number): void {
    this.offset = this.buffer.writeInt16BE(value, this.offset);
  }

  int32(value: number): void {
    this.offset = this.buffer.writeInt32BE(value, this.offset);
  }

  int64(value: number | bigint): void {
    this.offset = this.buffer.writeBigInt64BE(BigInt(value), this.offset);
  }

  varInt(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0;
    while (rest > 0x7f) {
      this.buffer[this.offset++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buffer[this.offset++] = rest;
  }

  /** Its length, then the bytes; null has length -1. */
  sized(value: Bytes | null): void {
    if (value === null) {
      this.varInt(NULL_LENGTH);
      return;
    }
    const isWritten = typeof value === 'string' && value.length <= MAX_SHORT_CHARACTERS && this.ascii(value);
    if (isWritten) return;
    this.varInt(Buffer.byteLength(value));
    this.bytes(value);
  }

  /**
   * Length and characters of a short string of ASCII, byte by byte: a call of `Buffer` costs several times as much.
   * @returns false when it is none; nothing is written then
   */
  private ascii(text: string): boolean {
    const { buffer, offset } = this;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x7f) return false;
      buffer[offset + 1 + at] = code;
    }
    buffer[offset] = text.length << 1;
    this.offset = offset + 1 + text.length;
    return true;
  }

  bytes(value: Buffer | string): void {
    this.offset +=
      typeof value === 'string'
        ? this.buffer.write(value, this.offset)
        : value.copy(this.buffer, this.offset);
  }
}
