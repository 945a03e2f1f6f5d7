/**
 * Judges one row of one table and writes it as COPY text, in one pass over its columns. PURE.
 *
 * The compiled form of a class with decorators: an array of columns, each with its checks on bytes in
 * reading order (RL3) and its way of writing. A good row makes no string and no object.
 * `compile-contract.property.spec.ts` proves against class-validator that verdicts, codes and values are
 * those of the class; `compile-contract.ts` has the figures.
 */
import type { ColumnOrigin } from '../../dataset/columns.js';
import type { OptionValues } from '../../dataset/dataset.js';
import { decode, type Kind } from '../../dataset/kinds.js';
import type { RecordRuleDefinition } from '../../dataset/rules.js';
import { CopyText, copyTextOf } from '../copy-text.js';
import { type Cells, CONTAINER_FLAG } from './cells.js';
import { type CheckPlan, severityOf } from './check-plan.js';
import type { ColumnPlan } from './contract-plan.js';
import { type Complaint, type RecordFindings, show } from './record-findings.js';

interface Check extends Complaint {
  readonly judges: CheckPlan['judges'];
  /** For `pair`: the column of the partner. */
  readonly other: number;
  readonly accepts: (value: string | null) => boolean;
  readonly acceptsBytes: (bytes: Uint8Array, start: number, end: number) => boolean;
  readonly acceptsAll: boolean;
  /** What a warning stores; null: the value is kept. */
  readonly otherwise: Buffer | null;
}

/** A rule across columns. */
interface AcrossCheck extends Complaint {
  readonly isQuoted: true;
  readonly rule: RecordRuleDefinition;
  /** The rule's own column, and the others in its order. */
  readonly columns: readonly number[];
}

interface Column {
  readonly from: 'record' | 'constant' | 'parent' | 'slot' | 'line';
  readonly valueChecks: readonly Check[];
  /** The same, and those that every text passes: asked of JSON objects and arrays, which pass none. */
  readonly containerChecks: readonly Check[];
  readonly nullChecks: readonly Check[];
  /** COPY text of a null, and of a constant. */
  readonly nullText: Buffer;
  readonly write: (bytes: Uint8Array, start: number, end: number, out: CopyText) => void;
  /** For `parent`: which of the parent's columns. */
  readonly parentColumn: number;
}

/** What a row needs to know besides its own values. */
export interface RowSurroundings {
  /** Number of the record in the job, as it stands before each of its rows. */
  readonly record: CopyText;
  /** Number of the slot or element, from 1. */
  slot: number;
  /** The record's line in its source, from 1. */
  line: number;
}

/** Code of a dataset that throws. */
export interface Culprit {
  /** `property total, its kind numeric`. */
  readonly what: string;
  readonly error: unknown;
}

export class TableJudge {
  readonly out = new CopyText();
  /** Where the columns of the row last written begin; one more stands for its end. */
  private readonly columnStarts: number[];
  private readonly columns: readonly Column[];
  /** The columns that `@PairedWith` stands on. */
  private readonly pairedColumns: readonly number[];
  private readonly across: readonly AcrossCheck[];
  /** For each column, what it stores of its cell as a text; null where it is null or not of its kind. */
  private readonly texts: readonly TextOf[];

  /**
   * @param constants COPY text of the columns whose value does not stand in the record, by property
   * @param parent of a child table: its parent's judge and columns
   */
  constructor(
    private readonly plans: readonly ColumnPlan[],
    options: OptionValues,
    constants: ReadonlyMap<string, Buffer>,
    private readonly parent: { readonly judge: TableJudge; readonly plans: readonly ColumnPlan[] } | null,
  ) {
    this.columns = plans.map((plan) => compileColumn(plan, plans, options, constants, parent?.plans ?? []));
    this.pairedColumns = [...plans.keys()].filter((at) =>
      plans[at]?.checks.some(({ judges }) => judges === 'pair'),
    );
    this.across = plans.flatMap((plan, at) => acrossChecksOf(plan, at, plans, options));
    this.texts = plans.map(({ kind }) => textOf(kind));
    this.columnStarts = new Array<number>(plans.length + 1).fill(0);
  }

  /** Writes the row [cells, by cellOf] and adds to the findings. Whether it may stay is the caller's decision. */
  writeRow(cells: Cells, cellOf: Int32Array, around: RowSurroundings, findings: RecordFindings): void {
    const { out, columns, columnStarts } = this;
    out.copyFrom(around.record, 0, around.record.length);
    for (let at = 0; at < columns.length; at += 1) {
      out.endColumn();
      columnStarts[at] = out.length;
      const column = columns[at] as Column;
      switch (column.from) {
        case 'record':
          this.writeSource(column, cells, cellOf, cellOf[at] as number, findings);
          break;
        case 'constant':
          out.raw(column.nullText);
          break;
        case 'parent':
          this.parent?.judge.copyColumn(column.parentColumn, out);
          break;
        case 'slot':
          out.count(around.slot);
          break;
        case 'line':
          out.count(around.line);
          break;
      }
    }
    columnStarts[columns.length] = out.length + 1;
    out.endRow();
    if (this.across.length > 0) this.judgeAcross(cells, cellOf, findings);
  }

  /** Asks what `@PairedWith` asks, for a slot that makes no row. */
  judgePairs(cells: Cells, cellOf: Int32Array, findings: RecordFindings): void {
    for (const at of this.pairedColumns) {
      const column = this.columns[at] as Column;
      const cell = cellOf[at] as number;
      const isNull = cells.ends[cell] === -1;
      for (const check of isNull ? column.nullChecks : column.containerChecks) {
        if (check.judges === 'pair' && !isPaired(check, cells, cellOf, isNull)) {
          complain(check, cells, cell, findings);
        }
      }
    }
  }

  /** Which of the columns' checks or kinds throws for this row, asked one by one; null where none does. */
  culprit(cells: Cells, cellOf: Int32Array): Culprit | null {
    for (const [at, { from, valueChecks, containerChecks, nullChecks, write }] of this.columns.entries()) {
      const plan = this.plans[at];
      const cell = cellOf[at] as number;
      if (from !== 'record' || plan === undefined) continue;
      const end = cells.ends[cell] as number;
      const isContainer = cells.flags[cell] === CONTAINER_FLAG;
      const name = `property ${plan.property}`;
      let settled = end === -1 || isContainer;
      for (const check of end === -1 ? nullChecks : isContainer ? containerChecks : valueChecks) {
        try {
          if (passes(check, cells, cellOf, cell)) continue;
        } catch (error) {
          return { what: `${name}, the check that gives ${check.code}`, error };
        }
        settled ||= check.severity === 'error' || check.otherwise !== null;
        if (settled) break;
      }
      if (settled) continue;
      try {
        write(cells.bytes[cell] as Buffer, cells.starts[cell] as number, end, new CopyText(64));
      } catch (error) {
        return { what: `${name}, its kind ${plan.kind.name}`, error };
      }
    }
    for (const check of this.across) {
      try {
        this.passesAcross(check, cells, cellOf);
      } catch (error) {
        const property = this.plans[check.columns[0] ?? 0]?.property ?? '';
        return { what: `property ${property}, the check that gives ${check.code}`, error };
      }
    }
    return null;
  }

  private judgeAcross(cells: Cells, cellOf: Int32Array, findings: RecordFindings): void {
    for (const check of this.across) {
      if (this.passesAcross(check, cells, cellOf)) continue;
      const [own = 0, ...others] = check.columns.map((column) => cellOf[column] as number);
      const quoted = Buffer.from(
        [
          showCell(cells, own),
          ...others.map((cell) => `${cells.nameOf(cell)} is ${showCell(cells, cell)}`),
        ].join(', '),
      );
      findings.add(check, cells.nameOf(own), quoted, 0, quoted.length);
    }
  }

  private passesAcross(check: AcrossCheck, cells: Cells, cellOf: Int32Array): boolean {
    const texts: string[] = [];
    for (const column of check.columns) {
      const cell = cellOf[column] as number;
      const text = (this.texts[column] as TextOf)(cells, cell);
      if (text === null) return true;
      texts.push(text);
    }
    const [own = '', ...others] = texts;
    return check.rule.accepts(own, others);
  }

  /** Copies what the row last written stores in one column. */
  private copyColumn(column: number, target: CopyText): void {
    const start = this.columnStarts[column] ?? 0;
    target.copyFrom(this.out, start, (this.columnStarts[column + 1] ?? 0) - 1);
  }

  private writeSource(
    column: Column,
    cells: Cells,
    cellOf: Int32Array,
    cell: number,
    findings: RecordFindings,
  ): void {
    const end = cells.ends[cell] as number;
    if (end === -1) {
      this.out.raw(settle(column.nullChecks, cells, cellOf, cell, findings) ?? column.nullText);
      return;
    }
    const isContainer = cells.flags[cell] === CONTAINER_FLAG;
    const checks = isContainer ? column.containerChecks : column.valueChecks;
    const settled = settle(checks, cells, cellOf, cell, findings);
    if (settled !== null) this.out.raw(settled);
    else column.write(cells.bytes[cell] as Buffer, cells.starts[cell] as number, end, this.out);
  }
}

/** Asks the checks in order. @returns what is stored instead of the value, null where the value stays */
function settle(
  checks: readonly Check[],
  cells: Cells,
  cellOf: Int32Array,
  cell: number,
  findings: RecordFindings,
): Buffer | null {
  for (let at = 0; at < checks.length; at += 1) {
    const check = checks[at] as Check;
    if (passes(check, cells, cellOf, cell)) continue;
    complain(check, cells, cell, findings);
    if (check.severity === 'error') return NO_TEXT; // The whole record goes.
    if (check.otherwise !== null) return check.otherwise;
  }
  return null;
}

function passes(check: Check, cells: Cells, cellOf: Int32Array, cell: number): boolean {
  const end = cells.ends[cell] as number;
  const isNull = end === -1;
  switch (check.judges) {
    case 'null':
      return !isNull;
    case 'pair':
      return isPaired(check, cells, cellOf, isNull);
    case 'record':
      return true; // Asked of the whole row.
    case 'value':
    case 'any':
      if (isNull) return check.accepts(null);
      if ((cells.flags[cell] as number) === CONTAINER_FLAG) return false;
      return check.acceptsBytes(cells.bytes[cell] as Buffer, cells.starts[cell] as number, end);
  }
}

function isPaired(check: Check, cells: Cells, cellOf: Int32Array, isNull: boolean): boolean {
  return (cells.ends[cellOf[check.other] as number] === -1) === isNull;
}

function complain(check: Check, cells: Cells, cell: number, findings: RecordFindings): void {
  findings.add(
    check,
    cells.nameOf(cell),
    cells.bytes[cell] as Buffer,
    cells.starts[cell] as number,
    cells.ends[cell] as number,
  );
}

const NO_TEXT = Buffer.alloc(0);

type TextOf = (cells: Cells, cell: number) => string | null;

function textOf(kind: Kind): TextOf {
  return (cells, cell) => {
    const end = cells.ends[cell] as number;
    if (end === -1 || cells.flags[cell] === CONTAINER_FLAG) return null;
    const value = decode(cells.bytes[cell] as Buffer, cells.starts[cell] as number, end);
    return kind.accepts(value) ? (kind.toText?.(value) ?? value) : null;
  };
}

function showCell(cells: Cells, cell: number): string {
  return show(cells.bytes[cell] as Buffer, cells.starts[cell] as number, cells.ends[cell] as number);
}

function acrossChecksOf(
  { checks }: ColumnPlan,
  at: number,
  plans: readonly ColumnPlan[],
  options: OptionValues,
): AcrossCheck[] {
  return checks.flatMap((plan) => {
    const severity = severityOf(plan, options);
    if (plan.judges !== 'record' || plan.across === undefined || severity === 'off') return [];
    const others = plan.others.map((name) => plans.findIndex(({ property }) => property === name));
    const { code, word, across: rule } = plan;
    return [{ code, severity, word, rule, columns: [at, ...others], instead: undefined, isQuoted: true }];
  });
}

function compileColumn(
  plan: ColumnPlan,
  plans: readonly ColumnPlan[],
  options: OptionValues,
  constants: ReadonlyMap<string, Buffer>,
  parentPlans: readonly ColumnPlan[],
): Column {
  const { origin, kind, ifNull, optional } = plan;
  const checks = plan.checks
    .filter(({ judges }) => judges !== 'record')
    .flatMap((check) => compileCheck(check, plans, options) ?? []);
  return {
    from: writtenFrom(origin),
    valueChecks: checks.filter(({ judges, acceptsAll }) => judges !== 'null' && !acceptsAll),
    containerChecks: checks.filter(({ judges }) => judges !== 'null'),
    nullChecks: optional ? [] : checks.filter(({ judges }) => judges !== 'value'),
    nullText: constants.get(plan.property) ?? copyTextOf(ifNull),
    write: writerOf(kind),
    parentColumn:
      origin.from === 'parent' ? parentPlans.findIndex(({ property }) => property === origin.property) : -1,
  };
}

function writtenFrom(origin: ColumnOrigin): Column['from'] {
  switch (origin.from) {
    case 'source':
    case 'fields':
      return 'record';
    case 'context':
    case 'constant':
      return 'constant';
    case 'provenance':
      return origin.fact === 'line' ? 'line' : 'constant';
    case 'parent':
    case 'slot':
      return origin.from;
  }
}

function compileCheck(plan: CheckPlan, plans: readonly ColumnPlan[], options: OptionValues): Check | null {
  const severity = severityOf(plan, options);
  if (severity === 'off') return null;
  const stores = severity === 'warning' && plan.otherwise !== undefined;
  return {
    code: plan.code,
    severity,
    judges: plan.judges,
    other: plans.findIndex(({ property }) => property === plan.others[0]),
    accepts: plan.accepts,
    acceptsBytes: plan.acceptsBytes ?? ((bytes, start, end) => plan.accepts(decode(bytes, start, end))),
    acceptsAll: plan.acceptsAll,
    word: plan.word,
    otherwise: stores ? copyTextOf(plan.otherwise ?? null) : null,
    instead: stores ? (plan.otherwise === null ? 'NULL' : JSON.stringify(plan.otherwise)) : undefined,
  };
}

function writerOf(kind: Kind): Column['write'] {
  if (kind.write !== undefined) return kind.write.bind(kind);
  const toText = kind.toText?.bind(kind);
  if (toText === undefined) {
    return (bytes, start, end, out) => {
      out.value(bytes, start, end);
    };
  }
  return (bytes, start, end, out) => {
    const text = Buffer.from(toText(decode(bytes, start, end)));
    out.value(text, 0, text.length);
  };
}
