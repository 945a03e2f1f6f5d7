/**
 * Raw batches of an earlier job become batches of a new one. PURE.
 *
 * - RW1: records, bytes, columns, context, line numbers and what messages said are those of the earlier batch. Numbers continue
 *   from batch to batch without a gap, also where batches are missing: where none is, they are those of the earlier job.
 * - RW2: what the earlier job stated of itself (`sluice:…`) is left out: the new job states its own.
 * - RW3: of chosen records each is on its own: it keeps its bytes, and what is known of its origin travels as its message.
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import type { RawHeaders } from '#common/kafka/message.js';
import type { Dataset } from '../dataset/dataset.js';
import type { OpenedRaw } from '../raw-log/raw-log-message.js';
import { RESERVED_PREFIX } from '../record/compile/constants.js';
import type { CutPosition } from '../record/cutter.js';
import { BatchMessages, MessageTable, type TabledMessage } from '../record/message-table.js';
import type { MessageHead, RawBatch, UnreadableRecord } from '../record/raw-batch.js';
import { type RecordWalker, walkerOf } from '../record/record-walker.js';

/** What replaying has to know of the dataset as it is now. */
type Shape = Pick<Dataset, 'name' | 'format' | 'csv' | 'contractVersion'>;

/** Names, in a message's headers, the refused record that it holds again: `<job>:<record>`. */
export const ORIGIN_HEADER = 'dead-letter';
const LINE_HEADER = 'line';

/** Where the batches of a new job begin: at the earlier one's first byte, if its first batch is there. */
export function beginningOf({ batch }: Pick<OpenedRaw, 'batch'>, isWhole: boolean): CutPosition {
  const isFirst = isWhole && batch.batch === 0;
  return isFirst
    ? { batch: 0, record: 0, line: batch.firstLine, byte: batch.byteStart }
    : { batch: 0, record: 0, line: 1, byte: 0 };
}

/** The place behind a batch. */
export function behind({ batch, firstRecord, records, firstLine, lines, byteEnd }: RawBatch): CutPosition {
  return { batch: batch + 1, record: firstRecord + records, line: firstLine + lines, byte: byteEnd };
}

/** What the batch says in place of a file's head (RW2). */
export function headOfRaw({ columns, context }: Pick<OpenedRaw, 'columns' | 'context'>): MessageHead {
  const own = Object.entries(context).filter(([name]) => !name.startsWith(RESERVED_PREFIX));
  return { columns, context: Object.fromEntries(own) };
}

/**
 * The batch as a whole, at the next place.
 * @throws SluiceError SOURCE_REFUSED when the dataset reads it otherwise now than the job that cut it
 */
export function wholeBatch(raw: OpenedRaw, dataset: Shape, next: CutPosition): RawBatch {
  assertReadable(raw, dataset);
  const { batch } = raw;
  return {
    ...batch,
    batch: next.batch,
    firstRecord: next.record,
    byteStart: next.byte,
    byteEnd: next.byte + batch.byteEnd - batch.byteStart,
    head: headOfRaw(raw),
  };
}

/**
 * The chosen records of a batch, at the next place.
 * @param chosen numbers in the earlier job
 * @returns null when it holds none of them
 * @throws SluiceError SOURCE_REFUSED as {@link wholeBatch}
 */
export function chosenRecords(
  raw: OpenedRaw,
  dataset: Shape,
  chosen: ReadonlySet<number>,
  next: CutPosition,
): RawBatch | null {
  assertFormat(raw, dataset);
  const { batch } = raw;
  const records = new ChosenRecords(raw);
  const walker = walkerOf(batch, dataset);
  while (holdsMore(walker, raw, dataset)) {
    if (chosen.has(batch.firstRecord + walker.index)) records.add(walker);
  }
  return records.batchAt(next);
}

class ChosenRecords {
  private readonly parts: Buffer[] = [];
  private readonly unreadable: UnreadableRecord[] = [];
  private readonly messages: BatchMessages | null;
  private readonly table: MessageTable;
  private readonly lineEnd: Buffer;
  private records = 0;
  private used = 0;
  private passedBytes = 0;

  constructor(private readonly raw: OpenedRaw) {
    const { batch, place } = raw;
    this.messages = batch.messages === undefined ? null : new BatchMessages(batch.messages, batch.batch);
    // Of a batch without a message no record is asked for its place: the topic is never shown.
    this.table = new MessageTable(this.messages === null ? place.topic : topicIn(batch));
    this.lineEnd = Buffer.from(batch.lineEnd === 'cr' ? '\r' : '\n');
  }

  add(walker: RecordWalker): void {
    const { bytes } = this.raw.batch;
    const { unreadable } = walker;
    if (unreadable === null) {
      this.append(bytes.subarray(walker.start, walker.end));
      this.append(this.lineEnd);
    } else {
      const { offset, keptBytes } = unreadable;
      this.unreadable.push({ ...unreadable, index: this.records, offset: this.used, lines: 1 });
      this.append(bytes.subarray(offset, offset + keptBytes));
      this.passedBytes += unreadable.bytes - keptBytes;
    }
    this.table.add(this.messageOf(walker));
    this.records += 1;
  }

  batchAt(next: CutPosition): RawBatch | null {
    if (this.records === 0) return null;
    const { batch } = this.raw;
    const { lineEnd } = batch;
    return {
      batch: next.batch,
      firstRecord: next.record,
      firstLine: next.record + 1,
      records: this.records,
      lines: this.records,
      byteStart: next.byte,
      byteEnd: next.byte + this.used + this.passedBytes,
      bytes: Buffer.concat(this.parts),
      unreadable: this.unreadable,
      ...(lineEnd === undefined ? {} : { lineEnd }),
      head: headOfRaw(this.raw),
      messages: this.table.take(),
    };
  }

  private append(bytes: Buffer): void {
    this.parts.push(bytes);
    this.used += bytes.length;
  }

  /** RW3 */
  private messageOf(walker: RecordWalker): Parameters<MessageTable['add']>[0] {
    const { raw, messages } = this;
    const origin = `${raw.job}:${raw.batch.firstRecord + walker.index}`;
    if (messages === null)
      return {
        place: raw.place,
        key: null,
        headers: { [ORIGIN_HEADER]: origin, [LINE_HEADER]: String(walker.line) },
        timestamp: -1,
      };
    const { topic, partition, offset, timestamp, key, headers, undecodable } = messages.message(walker.index);
    return {
      place: { topic, partition, offset: String(offset) },
      key,
      // First: of long headers the last ones are cut.
      headers: { [ORIGIN_HEADER]: origin, ...byName(headers) },
      timestamp,
      ...(undecodable === null
        ? {}
        : { undecodable: { ...undecodable, firstOffset: String(undecodable.firstOffset) } }),
    };
  }
}

function topicIn({ messages, batch }: RawBatch): string {
  return messages === undefined ? '' : new BatchMessages(messages, batch).message(0).topic;
}

function byName(headers: TabledMessage['headers']): RawHeaders {
  const named: Record<string, Buffer[] | undefined> = Object.create(null) as Record<string, Buffer[]>;
  for (const [name, value] of headers) {
    if (name === ORIGIN_HEADER) continue;
    // A client gives a header without a value by its name alone.
    named[name] = value === null ? undefined : [...(named[name] ?? []), value];
  }
  return named;
}

function assertReadable(raw: OpenedRaw, dataset: Shape): void {
  assertFormat(raw, dataset);
  // What was cut by the contract that is in use now is cut right.
  if (raw.contractVersion === dataset.contractVersion) return;
  const walker = walkerOf(raw.batch, dataset);
  while (holdsMore(walker, raw, dataset));
}

function assertFormat({ job, format, batch }: OpenedRaw, dataset: Shape): void {
  if (format !== dataset.format)
    throw refused(job, `batch ${batch.batch} is ${format}, and ${dataset.name} reads ${dataset.format} now`);
}

/** The dialect may have changed: a batch that is cut otherwise would be no batch to the validator. */
function holdsMore(walker: RecordWalker, { job, batch }: OpenedRaw, { name }: Shape): boolean {
  try {
    return walker.next();
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'MESSAGE_INVALID') throw error;
    throw refused(
      job,
      `${name} cuts records otherwise now than when batch ${batch.batch} was cut: load the source of the job again`,
    );
  }
}

function refused(job: string, problem: string): SluiceError {
  return new SluiceError('SOURCE_REFUSED', `Job ${job} cannot be replayed: ${problem}.`, { job });
}
