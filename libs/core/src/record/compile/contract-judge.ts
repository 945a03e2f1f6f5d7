/**
 * The compiled contract (`compile-contract.ts` says what it promises, CC1 to CC4). PURE.
 * Walks the records of a batch, has each read into cells, judged and written, and adds up the verdict.
 */
import { isUtf8 } from 'node:buffer';
import { SluiceError } from '#common/errors/sluice-error.js';
import { delimiterName } from '../../dataset/csv-dialect.js';
import type { Dataset } from '../../dataset/dataset.js';
import { encodingName, isDecoded } from '../../source/encoding.js';
import { CopyText, copyTextOf } from '../copy-text.js';
import type { Finding } from '../../finding/finding.js';
import type { RawBatch } from '../raw-batch.js';
import { type RecordWalker, walkerOf } from '../record-walker.js';
import { datasetCodeFailed } from '../dataset-code.js';
import type { BatchVerdict } from '../verdict.js';
import type { CompiledContract, CompileInputs } from './compiled-contract.js';
import { type Cells, DistinctValues, isProblem, NUL_REMOVED_FLAG, type RecordReader } from './cells.js';
import { constantOf, takesDeletes } from './constants.js';
import { type ColumnPlan, type ContractPlan, sectionsOf, type TablePlan } from './contract-plan.js';
import { CsvReader } from './csv-reader.js';
import { type DeleteCells, withMarker } from './delete-cells.js';
import { DeleteJudge, NO_DELETES } from './delete-judge.js';
import { JsonReader } from './json-reader.js';
import {
  type Defect,
  malformed,
  MAX_BATCH_TEXT_BYTES,
  NUL_REMOVED,
  problemOf,
  REPLACEMENT,
  STRAY_QUOTE,
  TOO_MUCH_TEXT,
  UNKNOWN_MEMBER,
} from './record-defects.js';
import { RecordFindings, wordsOf } from './record-findings.js';
import { type Culprit, type RowSurroundings, TableJudge } from './table-judge.js';
import { Tally } from './tally.js';
import type { UnknownMembers } from './unknown-members.js';

interface ChildJudge {
  readonly judge: TableJudge;
  /** Column numbers of `rowWhen` and `distinctBy`, or -1. */
  readonly rowWhen: number;
  readonly distinctBy: number;
  /** What `distinctBy` has met since the child was opened. */
  readonly distinct: DistinctValues;
  /** The children of its rows: places in the plan's list. */
  readonly inner: readonly number[];
}

/** What judging needs of a dataset. */
export type JudgedDataset = Pick<
  Dataset,
  'name' | 'format' | 'csv' | 'encoding' | 'contract' | 'unknownMembers' | 'deletes'
>;

export class ContractJudge implements CompiledContract {
  readonly tables: readonly TablePlan[];
  readonly sections: readonly TablePlan[];
  private readonly reader: RecordReader;
  private readonly parent: TableJudge;
  private readonly children: readonly ChildJudge[];
  /** The record's own children. */
  private readonly outer: readonly number[];
  private readonly deletes: DeleteJudge | null;
  /** In the order of the sections. */
  private readonly outs: readonly CopyText[];
  /** The cells of the record itself that some column reads, in column order: what NUL_REMOVED is said of. */
  private readonly readCells: readonly number[];
  private readonly findings = new RecordFindings();
  /** The encoding that the source was decoded from, for words; null where it was not. */
  private readonly encoding: string | null;
  private readonly delimiter: string;
  private readonly around: RowSurroundings = { record: new CopyText(16), slot: 0, line: 0 };

  constructor(
    private readonly dataset: JudgedDataset,
    private readonly plan: ContractPlan,
    private readonly inputs: CompileInputs,
  ) {
    this.tables = plan.tables;
    this.sections = sectionsOf(plan);
    this.encoding = isDecoded(dataset.encoding) ? encodingName(dataset.encoding) : null;
    this.delimiter = delimiterName(dataset.csv?.delimiter ?? ',');
    this.reader =
      dataset.format === 'csv'
        ? new CsvReader(dataset, withMarker(plan), inputs.columns)
        : new JsonReader(dataset.name, withMarker(plan));
    this.parent = new TableJudge(plan.columns, inputs.options, this.constantsOf(plan.columns), null);
    const childrenOf = (parent: number): number[] =>
      [...plan.children.keys()].filter((child) => plan.children[child]?.parent === parent);
    const judges: ChildJudge[] = [];
    for (const [child, { columns, table, parent }] of plan.children.entries()) {
      judges.push({
        judge: new TableJudge(columns, inputs.options, this.constantsOf(columns), {
          judge: judges[parent]?.judge ?? this.parent,
          plans: plan.children[parent]?.columns ?? plan.columns,
        }),
        rowWhen: columns.findIndex(({ property }) => property === table.rowWhen),
        distinctBy: columns.findIndex(({ property }) => property === table.distinctBy),
        distinct: new DistinctValues(),
        inner: childrenOf(child),
      });
    }
    this.children = judges;
    this.outer = childrenOf(-1);
    this.deletes = DeleteJudge.of(plan, {
      dataset: dataset.name,
      isJson: dataset.format === 'ndjson',
      options: inputs.options,
      constants: this.constantsOf(plan.columns),
      reader: this.reader,
      takesDeletes: takesDeletes(inputs.context),
    });
    const ofTables = [this.parent, ...judges.map(({ judge }) => judge)];
    this.outs = [...ofTables, ...(this.deletes === null ? [] : [this.deletes])].map(({ out }) => out);
    this.readCells = readCellsOf(this.reader, plan);
  }

  judge(batch: RawBatch): BatchVerdict {
    const walker = walkerOf(batch, this.dataset);
    try {
      return this.judgeAll(batch, walker);
    } catch (error) {
      this.reader.unknown?.take();
      throw error instanceof SluiceError ? error : this.faultOf(error, batch, walker);
    }
  }

  private judgeAll(batch: RawBatch, walker: RecordWalker): BatchVerdict {
    for (const out of this.outs) out.clear();
    this.reader.startBatch(batch.bytes, batch.lineEnd ?? 'lf');
    this.deletes?.startBatch(batch);
    const tally = new Tally(batch.bytes);
    const wellFormed = isUtf8(batch.bytes);
    // Messages are UTF-8, whatever files are.
    const isDecodedBatch = this.encoding !== null && batch.messages === undefined;
    const undecoded = isDecodedBatch ? batch.bytes.indexOf(REPLACEMENT) : -1;
    while (walker.next()) {
      if (walker.skipped) {
        tally.skipped += 1;
        continue;
      }
      const problem =
        problemOf(walker, batch.bytes, wellFormed, this.delimiter) ??
        (undecoded === -1 ? null : this.undecodedIn(batch.bytes, walker));
      if (problem !== null) this.judgeUnreadable(tally, walker, batch, problem);
      else if (walker.start === walker.end) tally.skipped += 1;
      else this.judgeRecord(tally, walker, batch.firstRecord + walker.index);
    }
    const records = walker.index;
    const refused = tally.refused.count;
    const unknownMembers = this.reader.unknown?.take();
    return {
      ...(unknownMembers === undefined ? {} : { unknownMembers }),
      sections: this.sections.map(({ table }, at) => {
        const out = this.outs[at] as CopyText;
        return { table, rows: out.rows, text: out.take() };
      }),
      counts: {
        records,
        accepted: records - refused - tally.skipped,
        refused,
        skipped: tally.skipped,
        warnings: tally.warnings,
      },
      findings: Object.fromEntries(tally.codes),
      refused: tally.refused,
    };
  }

  /** Not all bytes of the record could be decoded. */
  private undecodedIn(bytes: Buffer, { start, end }: RecordWalker): Defect | null {
    if (!bytes.subarray(start, end).includes(REPLACEMENT)) return null;
    const message = `the record holds bytes that are not ${this.encoding ?? ''}`;
    return malformed({ field: null, message });
  }

  private judgeRecord(tally: Tally, walker: RecordWalker, record: number): void {
    const { reader } = this;
    const problem = reader.load(walker.start, walker.end, walker.strayQuote);
    if (problem !== null) {
      const deleted = this.deletes?.loadedOtherwise(tally.bytes, walker.start, walker.end) ?? null;
      if (deleted === null) this.refuse(tally, walker, malformed(problem));
      else this.judgeDelete(tally, walker, record, deleted);
      return;
    }
    if (reader.blank) {
      tally.skipped += 1;
      return;
    }
    if (this.deletes !== null) {
      const deleted = this.deletes.loaded();
      if (deleted !== null) {
        this.judgeDelete(tally, walker, record, deleted);
        return;
      }
    }
    this.begin(walker, record);
    const defect = this.writeRows();
    if (reader.unknown !== null && reader.unknown.record.length > 0) this.countUnknown(tally, reader.unknown);
    this.conclude(tally, walker, defect);
  }

  /** A record that is refused without a look at its fields, or a message without a value that is a delete. */
  private judgeUnreadable(tally: Tally, walker: RecordWalker, batch: RawBatch, problem: Defect): void {
    const { deletes } = this;
    if (problem.code !== 'TOMBSTONE' || deletes?.takesTombstones !== true) {
      this.refuse(tally, walker, problem);
      return;
    }
    const found = deletes.tombstone(walker.index);
    if ('code' in found) this.refuse(tally, walker, found);
    else this.judgeDelete(tally, walker, batch.firstRecord + walker.index, found);
  }

  private judgeDelete(tally: Tally, walker: RecordWalker, record: number, given: DeleteCells): void {
    const { deletes, findings } = this;
    if (deletes === null) return;
    if (!deletes.takesDeletes) {
      this.refuse(tally, walker, NO_DELETES);
      return;
    }
    this.begin(walker, record);
    this.reportNuls(given.cells, given.read);
    for (const at of given.strayQuotes) findings.addAbout(STRAY_QUOTE, given.cells.nameOf(at));
    deletes.write(given, this.around, findings);
    const defect = this.hasTooMuchText() ? TOO_MUCH_TEXT : null;
    this.conclude(tally, walker, defect);
  }

  private begin(walker: RecordWalker, record: number): void {
    const { outs, around } = this;
    for (const out of outs) out.mark();
    this.findings.clear();
    around.record.clear();
    around.record.count(record);
    around.line = walker.line;
  }

  private conclude(tally: Tally, walker: RecordWalker, defect: Defect | null): void {
    const { findings, outs } = this;
    if (defect !== null || findings.errors > 0) {
      for (const out of outs) out.rewind(); // CC2
    }
    if (defect !== null) this.refuse(tally, walker, defect);
    else if (findings.count > 0) this.countFindings(tally, walker);
  }

  private hasTooMuchText(): boolean {
    let textBytes = 0;
    for (const out of this.outs) textBytes += out.length;
    return textBytes > MAX_BATCH_TEXT_BYTES;
  }

  /** Writes the record's rows to all tables. @returns what is wrong with the record as a whole, or null */
  private writeRows(): Defect | null {
    const { reader, findings } = this;
    this.reportNuls(reader.cells, this.readCells);
    for (const at of reader.strayQuotes) {
      if (this.readCells.includes(at)) findings.addAbout(STRAY_QUOTE, reader.cells.nameOf(at));
    }
    this.parent.writeRow(reader.cells, reader.cellOf, this.around, findings);
    const defect = this.writeChildren(this.outer);
    if (defect !== null) return defect;
    return this.hasTooMuchText() ? TOO_MUCH_TEXT : null;
  }

  private writeChildren(children: readonly number[]): Defect | null {
    for (let at = 0; at < children.length; at += 1) {
      const child = children[at] as number;
      const defect = this.writeChildRows(child, this.children[child] as ChildJudge);
      if (defect !== null) return defect;
    }
    return null;
  }

  /** A row's own children are written behind it, while it is the last one of its table: what makes no row has none. */
  private writeChildRows(
    child: number,
    { judge, rowWhen, distinctBy, distinct, inner }: ChildJudge,
  ): Defect | null {
    const { reader, findings, around } = this;
    const slots = reader.openChild(child);
    if (typeof slots !== 'number') return malformed(slots);
    distinct.clear();
    for (let slot = 0; slot < slots; slot += 1) {
      const cells = reader.loadChild(child, slot);
      if (isProblem(cells)) return malformed(cells);
      const cellOf = reader.childCellOf(child, slot);
      if (cells !== reader.cells) this.reportNuls(cells, null);
      if (!isRow(cells, cellOf, rowWhen)) {
        const holdsRows = this.holdsRows(rowWhen, inner);
        if (typeof holdsRows === 'object') return holdsRows;
        if (!holdsRows) {
          judge.judgePairs(cells, cellOf, findings);
          continue;
        }
      }
      if (distinctBy !== -1 && !distinct.add(cells, cellOf[distinctBy] as number)) continue;
      around.slot = slot + 1;
      judge.writeRow(cells, cellOf, around, findings);
      // Asked of each row: thousands of rows that repeat a long key could take all memory.
      if (judge.out.length > MAX_BATCH_TEXT_BYTES) return TOO_MUCH_TEXT;
      const defect = inner.length === 0 ? null : this.writeChildren(inner);
      if (defect !== null) return defect;
    }
    return null;
  }

  /** Whether the element that is loaded is a row for its own elements alone: of its values all are null. */
  private holdsRows(rowWhen: number, inner: readonly number[]): boolean | Defect {
    if (rowWhen !== -1) return false;
    for (const child of inner) {
      const slots = this.reader.openChild(child);
      if (typeof slots !== 'number') return malformed(slots);
      if (slots > 0) return true;
    }
    return false;
  }

  /** @param which the cells that some column reads; null: all */
  private reportNuls(cells: Cells, which: readonly number[] | null): void {
    if (!cells.hasNulRemoved) return;
    // Columns may read one field in several ways.
    const names = new Set<string>();
    for (const at of which ?? cells.names.keys()) {
      if (cells.flags[at] === NUL_REMOVED_FLAG) names.add(cells.nameOf(at));
    }
    for (const name of names) this.findings.addAbout(NUL_REMOVED, name);
  }

  private countUnknown(tally: Tally, unknown: UnknownMembers): void {
    unknown.count();
    const { unknownMembers = 'count' } = this.dataset;
    if (unknownMembers === 'count') {
      tally.count(UNKNOWN_MEMBER.code, 'warning');
      return;
    }
    const complaint = { ...UNKNOWN_MEMBER, severity: unknownMembers };
    for (const name of new Set(unknown.record)) this.findings.addAbout(complaint, name);
  }

  /**
   * What was thrown while the walker's record was judged, as a fault of the dataset where its code threw: its checks
   * are asked again, one by one. Nothing of this costs the path of a good record.
   */
  private faultOf(error: unknown, batch: RawBatch, walker: RecordWalker): unknown {
    const culprit = this.culprit(walker);
    if (culprit === null) return error;
    return datasetCodeFailed(culprit.error, {
      dataset: this.dataset.name,
      what: culprit.what,
      batch: batch.batch,
      record: batch.firstRecord + walker.index,
      line: walker.line,
    });
  }

  private culprit(walker: RecordWalker): Culprit | null {
    const { reader, dataset } = this;
    const ofDelete = this.deletes?.culprit() ?? null;
    if (ofDelete !== null) return { ...ofDelete, what: `class ${dataset.contract.name}, ${ofDelete.what}` };
    if (reader.load(walker.start, walker.end, walker.strayQuote) !== null) return null;
    const own = this.parent.culprit(reader.cells, reader.cellOf);
    if (own !== null) return { ...own, what: `class ${dataset.contract.name}, ${own.what}` };
    return this.culpritOf(this.outer);
  }

  private culpritOf(children: readonly number[]): Culprit | null {
    const { reader, plan } = this;
    for (const child of children) {
      const { judge, rowWhen, inner } = this.children[child] as ChildJudge;
      const slots = reader.openChild(child);
      for (let slot = 0; typeof slots === 'number' && slot < slots; slot += 1) {
        const cells = reader.loadChild(child, slot);
        if (isProblem(cells)) break;
        const cellOf = reader.childCellOf(child, slot);
        if (!isRow(cells, cellOf, rowWhen) && this.holdsRows(rowWhen, inner) !== true) continue;
        const found = judge.culprit(cells, cellOf);
        if (found !== null)
          return { ...found, what: `class ${plan.children[child]?.type.name ?? ''}, ${found.what}` };
        const inside = this.culpritOf(inner);
        if (inside !== null) return inside;
      }
    }
    return null;
  }

  /** The record that was judged has findings of the contract's. */
  private countFindings(tally: Tally, walker: RecordWalker): void {
    const { findings, inputs } = this;
    for (const { code, severity } of findings.complaints()) tally.count(code, severity);
    const isRefused = findings.errors > 0;
    if (!isRefused && inputs.onFindings === undefined) return;
    const chosen = findings.chosen();
    const unsaid = findings.count - chosen.length;
    if (isRefused) tally.refused.add(walker.place(), walker.start, chosen, unsaid);
    inputs.onFindings?.(walker.place(), wordsOf(chosen, unsaid));
  }

  /** The record as a whole is refused, without regard to its fields. */
  private refuse(tally: Tally, walker: RecordWalker, defect: Defect): void {
    const finding: Finding = { ...defect, severity: 'error' };
    tally.count(defect.code, 'error');
    tally.refused.addWhole(walker.place(), walker.start, finding);
    this.inputs.onFindings?.(walker.place(), [finding]);
  }

  /** @throws SluiceError DATASET_INVALID when the head, or a constant, says something that is not of the column's kind */
  private constantsOf(columns: readonly ColumnPlan[]): ReadonlyMap<string, Buffer> {
    const constants = new Map<string, Buffer>();
    for (const { origin, kind, property } of columns) {
      const value = constantOf(origin, this.inputs.context);
      if (value === undefined) continue;
      if (value !== null && !kind.accepts(value)) {
        const what = origin.from === 'context' ? `"${origin.name}" of the file's head` : `"${property}"`;
        throw new SluiceError('DATASET_INVALID', `Dataset ${this.dataset.name}: ${what} ${kind.message}.`);
      }
      constants.set(property, copyTextOf(value === null ? null : (kind.toText?.(value) ?? value)));
    }
    return constants;
  }
}

/** @param rowWhen number of the column without which there is no row; -1: any value makes one */
function isRow(cells: Cells, cellOf: Int32Array, rowWhen: number): boolean {
  if (rowWhen !== -1) return cells.ends[cellOf[rowWhen] as number] !== -1;
  return cellOf.some((cell) => cell !== -1 && cells.ends[cell] !== -1);
}

/** The cells of the record itself that some column reads, each once, in the file's order. */
function readCellsOf(reader: RecordReader, plan: ContractPlan): readonly number[] {
  const cells = new Set(reader.cellOf);
  plan.children.forEach(({ options }, child) => {
    if (!('slots' in options)) return;
    options.slots.forEach((_, slot) => {
      for (const cell of reader.childCellOf(child, slot)) cells.add(cell);
    });
  });
  cells.delete(-1);
  const fields = new Set([...cells].flatMap((cell) => reader.partsOf(cell)));
  return [...fields].sort((one, other) => one - other);
}
