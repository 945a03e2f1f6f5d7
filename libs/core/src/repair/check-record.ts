import { NIL } from 'uuid';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ReadMessage } from '#common/kafka/message.js';
import type { Dataset } from '../dataset/dataset.js';
import { inboxColumns } from '../dataset/inbox.js';
import type { Finding } from '../finding/finding.js';
import { type CompiledContract, compileContract, provenanceOf } from '../record/compile-contract.js';
import { createMessageCutter } from '../record/message-cutter.js';
import { DEFAULT_CUTTING, type MessageHead, type RawBatch } from '../record/raw-batch.js';
import { type RecordToSend, repairMode, repairOptions } from './record-to-send.js';

/**
 * What the validator would say of records if they were sent again now. PURE.
 *
 * - CK1: the answer is that of the cutter and the compiled contract themselves, on the messages that a resubmission sends.
 * - CK2: what only the loader can say (`UNKNOWN_TO_A_CHECK`) is not asked.
 * - CK3: contracts stay compiled for the heads last met, MAX_COMPILED of them.
 */
export type CheckedRecord =
  | { readonly outcome: 'passes' }
  | { readonly outcome: 'refused'; readonly findings: readonly Finding[] }
  /** Its fields are all empty, or it is a line without contents: it would not be loaded, and not be refused either. */
  | { readonly outcome: 'skipped' };

const MAX_COMPILED = 16;
const TOPIC = 'check';
const PASSES: CheckedRecord = { outcome: 'passes' };
const SKIPPED: CheckedRecord = { outcome: 'skipped' };

export class RecordChecker {
  private readonly compiled = new Map<string, CompiledContract | null>();
  /** What the repair job would state of itself. */
  private readonly facts: Readonly<Record<string, string>>;

  /** @param hasKey whether the dataset's table has a key */
  constructor(
    private readonly dataset: Dataset,
    hasKey = true,
  ) {
    const facts = { source: '', job: NIL, startedAt: new Date(0).toISOString() };
    this.facts = provenanceOf(dataset, facts, repairMode(dataset, hasKey));
  }

  /**
   * @returns of each record, in order, what it would become
   * @throws SluiceError DATASET_CODE_FAILED
   */
  check(records: readonly RecordToSend[]): CheckedRecord[] {
    const cutter = createMessageCutter(
      {
        ...DEFAULT_CUTTING,
        format: this.dataset.format,
        ...(this.dataset.csv === undefined ? {} : { csv: this.dataset.csv }),
        topic: TOPIC,
        columns: inboxColumns(this.dataset),
        accepts: (head) => this.contractFor(head) !== null,
        limitRecords: null,
      },
      { batch: 0, record: 0, line: 1, byte: 0 },
    );
    const batches = [...cutter.push(records.map(messageOf)), ...cutter.end()];
    const checked = batches.flatMap((batch) => this.judge(batch, records));
    if (checked.length !== records.length)
      throw new SluiceError('INTERNAL', `Of ${records.length} records ${checked.length} were checked.`);
    return checked;
  }

  private judge(batch: RawBatch, records: readonly RecordToSend[]): CheckedRecord[] {
    const head = batch.head ?? { columns: [], context: {} };
    const contract = this.contractFor(head);
    // The head of a batch whose messages are all unreadable is the dataset's own, which may not fit: nothing is read by it.
    if (contract === null) return this.oneByOne(batch, records);
    const { refused, counts } = contract.judge(batch);
    const checked = Array.from({ length: batch.records }, () => PASSES);
    for (const { record, findings } of refused)
      checked[record - batch.firstRecord] = { outcome: 'refused', findings: [...findings] };
    if (counts.skipped === 0) return checked;
    if (batch.records === 1) return [SKIPPED];
    return this.oneByOne(batch, records);
  }

  /** Where it has to be known which records of a batch are skipped. */
  private oneByOne(batch: RawBatch, records: readonly RecordToSend[]): CheckedRecord[] {
    const { firstRecord, records: count } = batch;
    if (count > 1)
      return records.slice(firstRecord, firstRecord + count).flatMap((record) => this.check([record]));
    const [unreadable] = batch.unreadable;
    const code = unreadable?.code ?? 'BAD_MESSAGE_HEADER';
    const message = 'its columns or its context do not fit the contract';
    return [{ outcome: 'refused', findings: [{ code, field: null, message, severity: 'error' }] }];
  }

  /** @returns null when the contract cannot be compiled for it */
  private contractFor({ columns, context }: MessageHead): CompiledContract | null {
    const key = JSON.stringify([columns, context]);
    const known = this.compiled.get(key);
    if (known !== undefined) return known;
    const contract = this.compile({ columns, context });
    const oldest = this.compiled.keys().next();
    if (this.compiled.size >= MAX_COMPILED && oldest.done !== true) this.compiled.delete(oldest.value);
    this.compiled.set(key, contract);
    return contract;
  }

  private compile({ columns, context }: MessageHead): CompiledContract | null {
    try {
      const whole = { ...context, ...this.facts };
      return compileContract(this.dataset, { columns, context: whole, options: repairOptions(this.dataset) });
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'DATASET_INVALID') return null;
      throw error;
    }
  }
}

/** Headers of the record before: those of one job have the same, the same objects. */
let lastHeaders:
  (Pick<RecordToSend, 'columns' | 'context'> & { readonly headers: ReadMessage['headers'] }) | null = null;

function headersOf({ columns, context }: RecordToSend): ReadMessage['headers'] {
  if (lastHeaders?.columns !== columns || lastHeaders.context !== context) {
    const headers = {
      ...(columns.length === 0 ? {} : { columns: Buffer.from(JSON.stringify(columns)) }),
      context: Buffer.from(JSON.stringify(context)),
    };
    lastHeaders = { columns, context, headers };
  }
  return lastHeaders.headers;
}

function messageOf(record: RecordToSend, index: number): ReadMessage {
  return {
    place: { topic: TOPIC, partition: 0, offset: String(index) },
    key: null,
    timestamp: -1,
    value: record.value,
    headers: headersOf(record),
  };
}
