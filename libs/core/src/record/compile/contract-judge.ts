/**
 * The compiled contract (`compile-contract.ts` says what it promises, V1 to V4). PURE.
 * Walks the records of a batch, has each read into cells, judged and written, and adds up the verdict.
 */
import { isUtf8 } from 'node:buffer';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset } from '../../dataset/dataset.js';
import { CopyText, copyTextOf } from '../copy-text.js';
import { type Finding, GENERAL_FINDING_CODES, type Severity } from '../finding.js';
import type { RawBatch } from '../raw-batch.js';
import { RecordWalker } from '../record-walker.js';
import { datasetCodeFailed } from '../dataset-code.js';
import type { BatchVerdict } from '../verdict.js';
import type { CompiledContract, CompileInputs } from './compiled-contract.js';
import { type Cells, isProblem, NUL_REMOVED_FLAG, type RecordProblem, type RecordReader } from './cells.js';
import type { ColumnPlan, ContractPlan, TablePlan } from './contract-plan.js';
import { CsvReader } from './csv-reader.js';
import { DistinctValues } from './distinct-values.js';
import { JsonReader } from './json-reader.js';
import type { UnknownMembers } from './unknown-members.js';
import { type Complaint, RecordFindings, wordsOf } from './record-findings.js';
import { RefusalFacts } from './refused-records.js';
import { type Culprit, type RowSurroundings, TableJudge } from './table-judge.js';

interface ChildJudge {
  readonly judge: TableJudge;
  /** Column numbers of `rowWhen` and `distinctBy`, or -1. */
  readonly rowWhen: number;
  readonly distinctBy: number;
}

/**
 * COPY text of one batch is kept below this, so that a clean batch fits into a message (8 MiB with headers).
 * Only records made for it come near: 512 KiB of source give about 600 KiB.
 */
export const MAX_BATCH_TEXT_BYTES = 7 * 1024 * 1024;

export class ContractJudge implements CompiledContract {
  readonly tables: readonly TablePlan[];
  private readonly reader: RecordReader;
  private readonly parent: TableJudge;
  private readonly children: readonly ChildJudge[];
  private readonly outs: readonly CopyText[];
  /** The cells of the record itself that some column reads, in column order: what NUL_REMOVED is said of. */
  private readonly readCells: readonly number[];
  private readonly findings = new RecordFindings();
  private readonly distinct = new DistinctValues();
  private readonly around: RowSurroundings = { record: new CopyText(16), slot: 0 };

  constructor(
    private readonly dataset: Pick<Dataset, 'name' | 'format' | 'contract' | 'unknownMembers'>,
    private readonly plan: ContractPlan,
    private readonly inputs: CompileInputs,
  ) {
    this.tables = plan.tables;
    this.reader =
      dataset.format === 'csv'
        ? new CsvReader(dataset.name, plan, inputs.columns)
        : new JsonReader(dataset.name, plan);
    this.parent = new TableJudge(plan.columns, inputs.options, this.constantsOf(plan.columns), null);
    this.children = plan.children.map(({ columns, table }) => ({
      judge: new TableJudge(columns, inputs.options, this.constantsOf(columns), {
        judge: this.parent,
        plans: plan.columns,
      }),
      rowWhen: columns.findIndex(({ property }) => property === table.rowWhen),
      distinctBy: columns.findIndex(({ property }) => property === table.distinctBy),
    }));
    this.outs = [this.parent, ...this.children.map(({ judge }) => judge)].map(({ out }) => out);
    this.readCells = readCellsOf(this.reader, plan);
  }

  judge(batch: RawBatch): BatchVerdict {
    const walker = new RecordWalker(batch, this.dataset.format);
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
    const tally = new Tally(batch.bytes);
    const wellFormed = isUtf8(batch.bytes);
    while (walker.next()) {
      const problem = problemOf(walker, batch.bytes, wellFormed);
      if (problem !== null) this.refuse(tally, walker, problem);
      else if (walker.start === walker.end) tally.skipped += 1;
      else this.judgeRecord(tally, walker, batch.firstRecord + walker.index);
    }
    const records = walker.index;
    const refused = tally.refused.count;
    const unknownMembers = this.reader.unknown?.take();
    return {
      ...(unknownMembers === undefined ? {} : { unknownMembers }),
      sections: this.tables.map(({ table }, at) => {
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

  private judgeRecord(tally: Tally, walker: RecordWalker, record: number): void {
    const { reader, findings, outs } = this;
    const problem = reader.load(walker.start, walker.end, walker.strayQuote);
    if (problem !== null) {
      this.refuse(tally, walker, malformed(problem));
      return;
    }
    if (reader.blank) {
      tally.skipped += 1;
      return;
    }
    for (const out of outs) out.mark();
    findings.clear();
    this.around.record.clear();
    this.around.record.count(record);
    const defect = this.writeRows();
    if (reader.unknown !== null && reader.unknown.record.length > 0) this.countUnknown(tally, reader.unknown);
    if (defect !== null || findings.errors > 0) {
      for (const out of outs) out.rewind(); // V2
    }
    if (defect !== null) this.refuse(tally, walker, defect);
    else if (findings.count > 0) this.countFindings(tally, walker);
  }

  /** Writes the record's rows to all tables. @returns what is wrong with the record as a whole, or null */
  private writeRows(): Defect | null {
    const { reader, findings } = this;
    this.reportNuls(reader.cells, this.readCells);
    for (const at of reader.strayQuotes) {
      if (this.readCells.includes(at)) findings.addAbout(STRAY_QUOTE, reader.cells.nameOf(at));
    }
    this.parent.writeRow(reader.cells, reader.cellOf, this.around, findings);
    for (let child = 0; child < this.children.length; child += 1) {
      const defect = this.writeChildRows(child, this.children[child] as ChildJudge);
      if (defect !== null) return defect;
    }
    let textBytes = 0;
    for (const out of this.outs) textBytes += out.length;
    return textBytes <= MAX_BATCH_TEXT_BYTES ? null : TOO_MUCH_TEXT;
  }

  private writeChildRows(child: number, { judge, rowWhen, distinctBy }: ChildJudge): Defect | null {
    const { reader, findings, distinct, around } = this;
    const slots = reader.openChild(child);
    if (typeof slots !== 'number') return malformed(slots);
    distinct.clear();
    for (let slot = 0; slot < slots; slot += 1) {
      const cells = reader.loadChild(child, slot);
      if (isProblem(cells)) return malformed(cells);
      const cellOf = reader.childCellOf(child, slot);
      if (cells !== reader.cells) this.reportNuls(cells, null);
      if (!isRow(cells, cellOf, rowWhen)) judge.judgePairs(cells, cellOf, findings);
      else if (distinctBy === -1 || distinct.add(cells, cellOf[distinctBy] as number)) {
        around.slot = slot + 1;
        judge.writeRow(cells, cellOf, around, findings);
        // Asked of each row: thousands of rows that repeat a long key could take all memory.
        if (judge.out.length > MAX_BATCH_TEXT_BYTES) return TOO_MUCH_TEXT;
      }
    }
    return null;
  }

  /** @param which the cells that some column reads; null: all */
  private reportNuls(cells: Cells, which: readonly number[] | null): void {
    if (!cells.hasNulRemoved) return;
    for (const at of which ?? cells.names.keys()) {
      if (cells.flags[at] === NUL_REMOVED_FLAG) this.findings.addAbout(NUL_REMOVED, cells.nameOf(at));
    }
  }

  private countUnknown(tally: Tally, unknown: UnknownMembers): void {
    unknown.count();
    const { unknownMembers = 'count' } = this.dataset;
    if (unknownMembers === 'count') {
      tally.count(UNKNOWN_CODE, 'warning');
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
    const { reader, plan, dataset } = this;
    if (reader.load(walker.start, walker.end, walker.strayQuote) !== null) return null;
    const own = this.parent.culprit(reader.cells, reader.cellOf);
    if (own !== null) return { ...own, what: `class ${dataset.contract.name}, ${own.what}` };
    for (const [child, { judge, rowWhen }] of this.children.entries()) {
      const slots = reader.openChild(child);
      for (let slot = 0; typeof slots === 'number' && slot < slots; slot += 1) {
        const cells = reader.loadChild(child, slot);
        if (isProblem(cells)) break;
        const cellOf = reader.childCellOf(child, slot);
        const found = isRow(cells, cellOf, rowWhen) ? judge.culprit(cells, cellOf) : null;
        if (found !== null)
          return { ...found, what: `class ${plan.children[child]?.type.name ?? ''}, ${found.what}` };
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

  /** The record as a whole is refused, whatever its fields are. */
  private refuse(tally: Tally, walker: RecordWalker, defect: Defect): void {
    const finding: Finding = { ...defect, severity: 'error' };
    tally.count(defect.code, 'error');
    tally.refused.addWhole(walker.place(), walker.start, finding);
    this.inputs.onFindings?.(walker.place(), [finding]);
  }

  /** @throws SluiceError DATASET_INVALID when the head says something that is not of the column's kind */
  private constantsOf(columns: readonly ColumnPlan[]): ReadonlyMap<string, Buffer> {
    const constants = new Map<string, Buffer>();
    for (const { origin, kind, property } of columns) {
      if (origin.from !== 'context') continue;
      const value = this.inputs.context[origin.name];
      if (value !== undefined && !kind.accepts(value)) {
        throw new SluiceError(
          'DATASET_INVALID',
          `Dataset ${this.dataset.name}: "${origin.name}" of the file's head ${kind.message}.`,
        );
      }
      constants.set(property, copyTextOf(value === undefined ? null : (kind.toText?.(value) ?? value)));
    }
    return constants;
  }
}

/** What a judged batch adds up to. */
class Tally {
  skipped = 0;
  warnings = 0;
  readonly codes = new Map<string, number>();
  readonly refused: RefusalFacts;

  /** @param bytes of the batch */
  constructor(bytes: Buffer) {
    this.refused = new RefusalFacts(bytes);
  }

  count(code: string, severity: Severity): void {
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
    if (severity === 'warning') this.warnings += 1;
  }
}

/** What refuses a record as a whole. */
type Defect = Omit<Finding, 'severity'>;

const {
  MALFORMED_ROW,
  RECORD_TOO_LARGE,
  NUL_REMOVED: NUL_CODE,
  STRAY_QUOTE: QUOTE_CODE,
  UNKNOWN_MEMBER: UNKNOWN_CODE,
} = GENERAL_FINDING_CODES;

const NUL_REMOVED: Complaint = {
  code: NUL_CODE,
  severity: 'warning',
  word: (field) => `${field} held NUL characters, which PostgreSQL cannot hold; they were removed`,
  instead: undefined,
};

const STRAY_QUOTE: Complaint = {
  code: QUOTE_CODE,
  severity: 'warning',
  word: (field) => `${field} holds a quote, though the field is not quoted; the quote is taken for text`,
  instead: undefined,
};

const UNKNOWN_MEMBER: Omit<Complaint, 'severity'> = {
  code: UNKNOWN_CODE,
  word: (field) => `${field} is a member that the contract does not read`,
  instead: undefined,
};

const TOO_MUCH_TEXT: Defect = {
  code: RECORD_TOO_LARGE,
  field: null,
  message: `the rows of the record bring its batch over ${MAX_BATCH_TEXT_BYTES} bytes of COPY text`,
};

function malformed(problem: RecordProblem): Defect {
  return { code: MALFORMED_ROW, ...problem };
}

/** What is wrong with a record before its fields are looked at. */
function problemOf(walker: RecordWalker, bytes: Buffer, wellFormed: boolean): Defect | null {
  const { oversized, start, end } = walker;
  if (oversized !== null && oversized.keptBytes < oversized.bytes) {
    const message = `the record is ${oversized.bytes} bytes long, over the limit; its first ${oversized.keptBytes} are kept`;
    return { code: RECORD_TOO_LARGE, field: null, message };
  }
  if (walker.malformed) {
    const until = oversized === null ? 'before a comma or line end' : 'within the size limit of a record';
    return malformed({ field: null, message: `a quote opens a field and does not close ${until}` });
  }
  if (!wellFormed && !isUtf8(bytes.subarray(start, end))) {
    return malformed({ field: null, message: 'the record holds bytes that are not UTF-8' });
  }
  return null;
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
  return [...cells].sort((one, other) => one - other);
}
