/**
 * Judges records that are deletes, and writes their key and version as COPY text. PURE.
 *
 * - DL1: only the key's fields and the version's are read; what else such a record holds is ignored, also where it would
 *   refuse another record. The record itself has to be one of its format.
 * - DL2: what is stored of the key is what a row of the same record has there, so that it is found.
 * - DL3: a delete may lack the version, as a message without a value does; a wrong one refuses it.
 * - DL4: a job whose mode takes no deletes refuses them (`DELETE_REFUSED`). A message without a value is refused as such
 *   (`TOMBSTONE`) by a dataset that takes none.
 */
import { isUtf8 } from 'node:buffer';
import type { OptionValues } from '../../dataset/dataset.js';
import type { CopyText } from '../copy-text.js';
import { GENERAL_FINDING_CODES } from '../../finding/finding.js';
import { BatchMessages, MAX_KEPT_BYTES } from '../message-table.js';
import type { RawBatch } from '../raw-batch.js';
import type { RecordReader } from './cells.js';
import type { ContractPlan } from './contract-plan.js';
import { type DeleteCells, MarkedOtherwise, MarkedRecords, TombstoneKeys } from './delete-cells.js';
import { type Defect, malformed } from './record-defects.js';
import type { RecordFindings } from './record-findings.js';
import { type Culprit, type RowSurroundings, TableJudge } from './table-judge.js';

export interface DeleteJudgeParts {
  readonly dataset: string;
  readonly isJson: boolean;
  readonly options: OptionValues;
  readonly constants: ReadonlyMap<string, Buffer>;
  /** Of the contract's records and the marker (`withMarker`). */
  readonly reader: RecordReader;
  /** The job takes deletes. */
  readonly takesDeletes: boolean;
}

export class DeleteJudge {
  readonly out: CopyText;
  readonly takesDeletes: boolean;
  private readonly judge: TableJudge;
  private readonly marked: MarkedRecords | null;
  private readonly otherwise: MarkedOtherwise | null;
  private readonly keys: TombstoneKeys | null;
  private current: DeleteCells | null = null;
  private messages = new BatchMessages(NO_KEY, 0);

  /** Null for a dataset without deletes. */
  static of(plan: ContractPlan, parts: DeleteJudgeParts): DeleteJudge | null {
    return plan.deletes === null ? null : new DeleteJudge(plan, plan.deletes, parts);
  }

  private constructor(
    plan: ContractPlan,
    deletes: NonNullable<ContractPlan['deletes']>,
    { dataset, isJson, options, constants, reader, takesDeletes }: DeleteJudgeParts,
  ) {
    this.judge = new TableJudge(deletes.columns, options, constants, null);
    this.out = this.judge.out;
    this.takesDeletes = takesDeletes;
    const hasMarker = deletes.marker !== null;
    this.marked = hasMarker ? new MarkedRecords(reader, plan.columns, deletes) : null;
    this.otherwise = hasMarker && isJson ? new MarkedOtherwise(dataset, plan, deletes) : null;
    this.keys = deletes.tombstones ? new TombstoneKeys(dataset, plan, deletes, isJson) : null;
  }

  /** The record that the reader has loaded, if it is a delete. */
  loaded(): DeleteCells | null {
    return this.marked?.loaded() ?? null;
  }

  /** DL1: a record that the reader could not load, if it is a delete nevertheless. */
  loadedOtherwise(bytes: Buffer, start: number, end: number): DeleteCells | null {
    return this.otherwise?.find(bytes, start, end) ?? null;
  }

  get takesTombstones(): boolean {
    return this.keys !== null;
  }

  /**
   * A message without a value, by its key. @returns what refuses it as a whole, or what it deletes
   * @param index which record of the batch, in their order
   * @throws SluiceError MESSAGE_INVALID when the batch does not say what its messages were
   */
  tombstone(index: number): DeleteCells | Defect {
    if (this.keys === null) return NO_DELETES;
    const { key, isCut } = this.messages.message(index);
    if (isCut && key !== null && key.length >= MAX_KEPT_BYTES) return KEY_TOO_LONG;
    const bytes = key ?? NO_KEY;
    if (!isUtf8(bytes)) return KEY_NOT_UTF8;
    const found = this.keys.load(bytes, 0, bytes.length);
    return 'message' in found ? malformed(found) : found;
  }

  startBatch({ batch, messages = NO_KEY }: RawBatch): void {
    this.messages = new BatchMessages(messages, batch);
  }

  /** Writes its row and adds to the findings. Whether it may stay is the caller's decision. */
  write(given: DeleteCells, around: RowSurroundings, findings: RecordFindings): void {
    this.current = given;
    this.judge.writeRow(given.cells, given.cellOf, around, findings);
    this.current = null;
  }

  /** Which check or kind has thrown for the delete that was being written; null where there was none. */
  culprit(): Culprit | null {
    const { current } = this;
    this.current = null;
    return current === null ? null : this.judge.culprit(current.cells, current.cellOf);
  }
}

const NO_KEY = Buffer.alloc(0);
const KEY_NOT_UTF8 = malformed({
  field: null,
  message: 'the message has no value, and its key holds bytes that are not UTF-8',
});
const KEY_TOO_LONG: Defect = {
  code: GENERAL_FINDING_CODES.RECORD_TOO_LARGE,
  field: null,
  message: `the message has no value, and its key is longer than ${MAX_KEPT_BYTES} bytes`,
};

/** DL4. */
export const NO_DELETES: Defect = {
  code: GENERAL_FINDING_CODES.DELETE_REFUSED,
  field: null,
  message: 'the record is a delete, and only mode upsert takes deletes',
};
