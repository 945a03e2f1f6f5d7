import { type ValidationError, validateSync } from 'class-validator';
import {
  type ColumnMetadata,
  contractMetadata,
  isOfRecord,
  sourcesOfOrigin,
} from '../../../libs/core/src/dataset/columns.js';
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
  readonly line?: number;
  /** All values that stand in the record itself and are read, in the source's order: their names and what they are. */
  readonly texts: readonly { readonly name: string; readonly value: unknown }[];
  /** The slots or elements of the child at this place of the contract. */
  places(child: number): readonly PlainElement[];
}

export interface PlainElement extends PlainPlace {
  readonly slot: number;
  /** Values whose NULs are this element's own matter (NDJSON). */
  readonly texts: readonly { readonly name: string; readonly value: unknown }[];
  /** As of a record, where the child has children of its own. */
  places?(child: number): readonly PlainElement[];
}

export interface PlainInputs {
  readonly context: Readonly<Record<string, string>>;
  readonly options: OptionValues;
  /** Default: a text is all that a value can be. */
  readonly isJson?: boolean;
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
  const { table, columns } = contractMetadata(contract);
  const findings: PlainFinding[] = nulFindings(record.texts);
  const clean: Clean = (value, { trim = table?.cleaning?.trim, nullTokens = table?.cleaning?.nullTokens }) =>
    cleanString(value, {
      ...(trim === undefined ? {} : { trim }),
      ...(nullTokens === undefined ? {} : { nullTokens }),
    });
  const judge = (type: ContractClass, place: PlainPlace, from: Omit<Origins, keyof PlainInputs>): Judged =>
    judgeRow(type, place, clean, { ...inputs, ...from });

  const line = record.line ?? 1;
  const parent = judge(contract, record, { line });
  findings.push(...parent.findings);
  const rows: Record<string, (readonly (string | null)[])[]> = { [table!.name]: [parent.stored] };
  const judgeChildren = (
    type: ContractClass,
    places: (child: number) => readonly PlainElement[],
    parentValue: (property: string) => string | null,
  ): void => {
    for (const [index, { type: typeOf }] of contractMetadata(type).children.entries()) {
      const childType = typeOf();
      const { childTable: child, children, columns: own } = contractMetadata(childType);
      const seen = new Set<string>();
      for (const place of places(index)) {
        findings.push(...nulFindings(place.texts));
        const values = valuesOf(childType, place, clean, inputs.isJson === true);
        const inside = (inner: number): readonly PlainElement[] => place.places?.(inner) ?? [];
        const isRow =
          child!.rowWhen === undefined
            ? Object.values(values).some((one) => one !== null) ||
              children.some((_, inner) => inside(inner).length > 0)
            : values[child!.rowWhen] !== null;
        const distinct = child!.distinctBy === undefined ? undefined : values[child!.distinctBy];
        if (isRow && child!.distinctBy !== undefined) {
          const text = typeof distinct === 'string' ? distinct : JSON.stringify(distinct);
          if (seen.has(text)) continue;
          seen.add(text);
        }
        const row = judge(childType, place, { parentValue, line, slot: place.slot, onlyPairs: !isRow });
        findings.push(...row.findings);
        if (!isRow) continue;
        rows[child!.name]!.push(row.stored);
        judgeChildren(childType, inside, (property) => storedOf(own, row, property));
      }
    }
  };
  for (const name of childTablesOf(contract)) rows[name] = [];
  judgeChildren(
    contract,
    (child) => record.places(child),
    (property) => storedOf(columns, parent, property),
  );
  const isRefused = findings.some(({ severity }) => severity === 'error');
  return { verdict: isRefused ? 'refused' : 'accepted', findings, rows: isRefused ? {} : rows };
}

function storedOf(columns: readonly ColumnMetadata[], { stored }: Judged, property: string): string | null {
  return stored[columns.findIndex((one) => one.property === property)] ?? null;
}

function childTablesOf(contract: ContractClass): string[] {
  return contractMetadata(contract).children.flatMap(({ type }) => [
    contractMetadata(type()).childTable!.name,
    ...childTablesOf(type()),
  ]);
}

interface Origins extends PlainInputs {
  readonly parentValue?: (property: string) => string | null;
  readonly slot?: number;
  readonly line?: number;
  readonly onlyPairs?: boolean;
}

function judgeRow(type: ContractClass, place: PlainPlace, clean: Clean, from: Origins): Judged {
  const values = valuesOf(type, place, clean, from.isJson === true);
  const instance: object = Object.assign(Object.create(type.prototype as object) as object, values);
  const errors = new Map(
    validateSync(instance, { forbidUnknownValues: false }).map((error) => [error.property, error]),
  );
  const findings: PlainFinding[] = [];
  const stored = contractMetadata(type).columns.map((column) => {
    if (!isOfRecord(column.origin)) return constantOf(column, from);
    const { property, kind, ifNull } = column;
    const value = values[property];
    for (const rule of brokenRules(errors.get(property)).filter(({ judges }) => judges !== 'record')) {
      const severity =
        typeof rule.severity === 'function' ? rule.severity(from.options) : (rule.severity ?? 'error');
      if (severity === 'off' || (from.onlyPairs === true && rule.judges !== 'pair')) continue;
      findings.push({ code: rule.code ?? 'INVALID_VALUE', field: nameOf(column, place), severity });
      if (severity === 'error') return null;
      if (rule.otherwise !== undefined) return rule.otherwise;
    }
    if (value === null) return ifNull;
    if (Array.isArray(value)) return kind.inJson?.toText?.(JSON.stringify(value)) ?? null;
    return typeof value === 'string' ? (kind.toText?.(value) ?? value) : null;
  });
  for (const column of from.onlyPairs === true ? [] : contractMetadata(type).columns) {
    for (const rule of brokenRules(errors.get(column.property)).filter(({ judges }) => judges === 'record')) {
      const severity =
        typeof rule.severity === 'function' ? rule.severity(from.options) : (rule.severity ?? 'error');
      if (severity !== 'off')
        findings.push({ code: rule.code ?? 'INVALID_VALUE', field: nameOf(column, place), severity });
    }
  }
  return { stored, findings };
}

function nameOf({ origin }: ColumnMetadata, place: PlainPlace): string {
  const names = sourcesOfOrigin(origin).map((source) => place.nameOf(source));
  if (names.length < 2) return names[0] ?? '';
  // Where they stand is said once: `items[0].day + time`.
  const prefix = place.nameOf('').replace(/\.$/, '');
  return `${names[0] ?? ''}${names
    .slice(1)
    .map((name) => ` + ${prefix === '' ? name : name.slice(prefix.length + 1)}`)
    .join('')}`;
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

type Clean = (value: string, column: Pick<ColumnMetadata, 'trim' | 'nullTokens'>) => string | null;

/** Property → cleaned string, null, or what is no single value. */
function valuesOf(
  type: ContractClass,
  place: PlainPlace,
  clean: Clean,
  isJson: boolean,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const column of contractMetadata(type).columns) {
    const { property, origin } = column;
    if (origin.from === 'source')
      values[property] = valueOf(place.read(origin.source), column, clean, isJson);
    if (origin.from !== 'fields') continue;
    const parts = origin.sources
      .map((source) => valueOf(place.read(source), column, clean, isJson))
      .filter((part) => part !== null);
    const odd = parts.find((part) => typeof part !== 'string');
    const texts = parts.filter((part) => typeof part === 'string');
    values[property] = odd ?? (parts.length === 0 ? null : texts.join(origin.join));
  }
  return values;
}

function valueOf(given: unknown, column: ColumnMetadata, clean: Clean, isJson: boolean): unknown {
  const { kind } = column;
  const value = given ?? null;
  if (value === null) return null;
  if (isJson && kind.reads === 'json') return JSON.stringify(value);
  if (isJson && kind.inJson !== undefined) return Array.isArray(value) ? value : { notAnArray: value };
  if (typeof value === 'object') return value;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const isNumber = typeof value === 'number';
  return clean(isNumber ? (kind.plainNumber?.of(text) ?? text) : text, column);
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
    case 'constant':
      return origin.value === null ? null : (kind.toText?.(origin.value) ?? origin.value);
    case 'provenance':
      return origin.fact === 'line' ? String(from.line) : (from.context[`sluice:${origin.fact}`] ?? null);
    case 'source':
    case 'fields':
      return null;
  }
}

function nulFindings(texts: PlainRecord['texts']): PlainFinding[] {
  return texts
    .filter(({ value }) => typeof value === 'string' && value.includes('\0'))
    .map(({ name }) => ({ code: 'NUL_REMOVED', field: name, severity: 'warning' }));
}
