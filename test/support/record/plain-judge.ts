import { type ValidationError, validateSync } from 'class-validator';
import { type ColumnMetadata, contractMetadata } from '../../../libs/core/src/dataset/columns.js';
import type { ContractClass, OptionValues } from '../../../libs/core/src/dataset/dataset.js';
import { RULE_CONTEXT, type RuleContext } from '../../../libs/core/src/dataset/rules.js';
import { cleanString } from '../../../libs/core/src/record/cleaning.js';

/**
 * The contract applied the plain way, for tests to compare the compiled way with: strings, class-validator on the
 * contract's own class, one record at a time. Malformed records are the caller's business.
 */

export interface PlainFinding {
  readonly code: string;
  readonly field: string;
  readonly severity: 'error' | 'warning';
}

export interface PlainVerdict {
  readonly verdict: 'accepted' | 'refused' | 'skipped';
  readonly findings: readonly PlainFinding[];
  /** Table → rows as PostgreSQL shall hold them, without the record number. */
  readonly rows: Readonly<Record<string, readonly (readonly (string | null)[])[]>>;
}

/** Where the plain judge reads values: the record, or one slot or element of it. */
export interface PlainPlace {
  /** As the source has it, uncleaned: text, or for NDJSON any value; undefined and null for nothing. */
  read(source: string): unknown;
  nameOf(source: string): string;
}

export interface PlainRecord extends PlainPlace {
  readonly isBlank: boolean;
  /** All values that stand in the record itself and are read, in the source's order: their names and what they are. */
  readonly texts: readonly { readonly name: string; readonly value: unknown }[];
  /** The slots or elements of the child at this place of the contract. */
  places(child: number): readonly PlainElement[];
}

export interface PlainElement extends PlainPlace {
  readonly slot: number;
  /** Values whose NULs are this element's own matter (NDJSON). */
  readonly texts: readonly { readonly name: string; readonly value: unknown }[];
}

export interface PlainInputs {
  readonly context: Readonly<Record<string, string>>;
  readonly options: OptionValues;
}

interface Judged {
  readonly stored: readonly (string | null)[];
  readonly findings: readonly PlainFinding[];
}

export function judgePlainly(
  contract: ContractClass,
  record: PlainRecord,
  inputs: PlainInputs,
): PlainVerdict {
  if (record.isBlank) return { verdict: 'skipped', findings: [], rows: {} };
  const { table, columns, children } = contractMetadata(contract);
  const findings: PlainFinding[] = nulFindings(record.texts);
  const clean = (value: string): string | null => cleanString(value, table?.cleaning);
  const judge = (type: ContractClass, place: PlainPlace, from: Omit<Origins, keyof PlainInputs>): Judged =>
    judgeRow(type, place, clean, { ...inputs, ...from });

  const parent = judge(contract, record, {});
  findings.push(...parent.findings);
  const rows: Record<string, (readonly (string | null)[])[]> = { [table!.name]: [parent.stored] };
  for (const [index, { type }] of children.entries()) {
    const child = contractMetadata(type()).childTable!;
    const own: (readonly (string | null)[])[] = (rows[child.name] = []);
    const seen = new Set<string>();
    for (const place of record.places(index)) {
      findings.push(...nulFindings(place.texts));
      const values = valuesOf(type(), place, clean);
      const isRow =
        child.rowWhen === undefined
          ? Object.values(values).some((one) => one !== null)
          : values[child.rowWhen] !== null;
      const distinct = child.distinctBy === undefined ? undefined : values[child.distinctBy];
      if (isRow && child.distinctBy !== undefined) {
        const text = typeof distinct === 'string' ? distinct : JSON.stringify(distinct);
        if (seen.has(text)) continue;
        seen.add(text);
      }
      const parentValue = (property: string): string | null =>
        parent.stored[columns.findIndex((one) => one.property === property)] ?? null;
      const row = judge(type(), place, { parentValue, slot: place.slot, onlyPairs: !isRow });
      findings.push(...row.findings);
      if (isRow) own.push(row.stored);
    }
  }
  const isRefused = findings.some(({ severity }) => severity === 'error');
  return { verdict: isRefused ? 'refused' : 'accepted', findings, rows: isRefused ? {} : rows };
}

interface Origins extends PlainInputs {
  readonly parentValue?: (property: string) => string | null;
  readonly slot?: number;
  readonly onlyPairs?: boolean;
}

function judgeRow(type: ContractClass, place: PlainPlace, clean: Clean, from: Origins): Judged {
  const values = valuesOf(type, place, clean);
  const instance: object = Object.assign(Object.create(type.prototype as object) as object, values);
  const errors = new Map(
    validateSync(instance, { forbidUnknownValues: false }).map((error) => [error.property, error]),
  );
  const findings: PlainFinding[] = [];
  const stored = contractMetadata(type).columns.map((column) => {
    if (column.origin.from !== 'source') return constantOf(column, from);
    const { property, kind, ifNull } = column;
    const value = values[property];
    const { source } = column.origin;
    for (const rule of brokenRules(errors.get(property))) {
      const severity =
        typeof rule.severity === 'function' ? rule.severity(from.options) : (rule.severity ?? 'error');
      if (severity === 'off' || (from.onlyPairs === true && rule.judges !== 'pair')) continue;
      findings.push({ code: rule.code ?? 'INVALID_VALUE', field: place.nameOf(source), severity });
      if (severity === 'error') return null;
      if (rule.otherwise !== undefined) return rule.otherwise;
    }
    if (value === null) return ifNull;
    return typeof value === 'string' ? (kind.toText?.(value) ?? value) : null;
  });
  return { stored, findings };
}

/** In reading order: class-validator asks the decorators of a property from the bottom. */
function brokenRules(error: ValidationError | undefined): Partial<RuleContext>[] {
  return Object.keys(error?.constraints ?? {})
    .reverse()
    .map((name) => {
      const context = (error?.contexts?.[name] ?? {}) as Record<string, RuleContext> & Partial<RuleContext>;
      return context[RULE_CONTEXT] ?? context;
    });
}

type Clean = (value: string) => string | null;

/** Property → cleaned string, null, or what is no single value. */
function valuesOf(type: ContractClass, place: PlainPlace, clean: Clean): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { property, origin, kind } of contractMetadata(type).columns) {
    if (origin.from !== 'source') continue;
    const value = place.read(origin.source) ?? null;
    if (value === null) values[property] = null;
    else if (kind.reads === 'json') values[property] = JSON.stringify(value);
    else if (typeof value === 'object') values[property] = value;
    else if (typeof value === 'number')
      values[property] = clean(kind.plainNumber?.of(JSON.stringify(value)) ?? JSON.stringify(value));
    else values[property] = clean(typeof value === 'string' ? value : JSON.stringify(value));
  }
  return values;
}

function constantOf({ origin, kind, ifNull }: ColumnMetadata, from: Origins): string | null {
  switch (origin.from) {
    case 'context': {
      const value = from.context[origin.name];
      return value === undefined ? ifNull : (kind.toText?.(value) ?? value);
    }
    case 'parent':
      return from.parentValue?.(origin.property) ?? null;
    case 'slot':
      return String(from.slot);
    case 'source':
      return null;
  }
}

function nulFindings(texts: PlainRecord['texts']): PlainFinding[] {
  return texts
    .filter(({ value }) => typeof value === 'string' && value.includes('\0'))
    .map(({ name }) => ({ code: 'NUL_REMOVED', field: name, severity: 'warning' }));
}
