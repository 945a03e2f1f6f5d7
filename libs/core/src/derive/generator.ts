/**
 * Files of a dataset that brings no generator, from its contract alone. PURE. Every record but the defects is accepted; the
 * defects take turns over all that the contract refuses or warns of.
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import { isOfRecord, sourcesOfOrigin } from '../dataset/columns.js';
import { type Dataset, resolveOptions } from '../dataset/dataset.js';
import {
  DEFAULT_DEFECT_SHARE,
  DEFAULT_REPEAT_SHARE,
  type Generate,
  type GenerateOptions,
  SeededRandom,
} from '../dataset/generate.js';
import { type ColumnPlan, type ContractPlan, planContract } from '../record/compile/contract-plan.js';
import { csvWriter, type FieldValues, jsonWriter, type RecordWriter } from './record-writers.js';
import { isJsonText, type SampleValues, sampleValues, uniqueValues } from './sample-values.js';

const CHUNK_BYTES = 64 * 1024;
/** Rows of a child table in one record. */
const MAX_CHILD_ROWS = 3;
/** How far back a repeated key may lie: what a generator has to remember. */
const REPEATED_FROM = 1000;

/**
 * @returns as every `generator.ts` exports
 * @throws SluiceError DATASET_INVALID where no value can be found that a required column accepts: such a dataset needs a
 *   generator of its own
 */
export function derivedGenerator(dataset: Dataset): Generate {
  const plan = planContract(dataset);
  const columns = samplesOf(dataset, plan.columns);
  const keyColumns = plan.columns.filter(({ target }) => plan.key.includes(target));
  const [unique] = keyColumns.flatMap((column) => {
    const values = isOfRecord(column.origin) ? uniqueValues(column) : null;
    return values === null ? [] : [{ plan: column, values }];
  });
  const writer = dataset.format === 'csv' ? csvWriter(dataset, plan) : jsonWriter();
  const slots = slotSamples(dataset, plan);
  const children = childSamples(dataset, plan, -1);
  if (unique === undefined) {
    throw noValue(dataset, keyColumns[0]?.property ?? 'the key', 'a different one for each record');
  }
  return function* generate(options) {
    yield* chunks(records(options, { columns, unique, key: plan.key, slots, children, writer }));
  };
}

interface Parts {
  readonly columns: readonly ColumnSamples[];
  /** A column of the key. */
  readonly unique: { readonly plan: ColumnPlan; readonly values: (record: number) => string };
  readonly key: readonly string[];
  readonly slots: readonly SlotColumn[];
  readonly children: readonly ChildSamples[];
  readonly writer: RecordWriter;
}

interface ColumnSamples {
  readonly plan: ColumnPlan;
  readonly values: SampleValues;
}

interface SlotColumn {
  readonly sample: ColumnSamples;
  /** From 0. */
  readonly at: number;
  readonly nameOf: (source: string) => string;
}

interface ChildSamples {
  /** Dotted path of its array. */
  readonly path: string;
  readonly columns: readonly ColumnSamples[];
  readonly children: readonly ChildSamples[];
}

function* records(options: GenerateOptions, parts: Parts): Generator<Buffer> {
  const { columns, unique, key, slots, children, writer } = parts;
  const { rows, seed, defectShare = DEFAULT_DEFECT_SHARE, repeatShare = DEFAULT_REPEAT_SHARE } = options;
  const random = new SeededRandom(seed);
  const defects = columns.flatMap(({ plan, values }) => values.bad.map((value) => ({ plan, value })));
  /** Numbers whose keys have been used. */
  const recent: number[] = [];
  let defect = 0;
  yield writer.head;
  for (let record = 0; record < rows; record += 1) {
    const values: FieldValues = new Map();
    const isRepeat = record > 0 && random.chance(repeatShare);
    const number = isRepeat ? (recent[random.below(recent.length)] ?? record) : record;
    recent[record % REPEATED_FROM] = number;
    for (const { plan, values: samples } of columns) {
      // The same number gives the same key, whatever stands around it.
      const isKey = key.includes(plan.target);
      setValue(
        values,
        plan,
        samples.good(isKey ? number : record, isKey ? new SeededRandom(number) : random),
      );
    }
    setValue(values, unique.plan, unique.values(number));
    for (const { sample, at, nameOf } of slots)
      setValue(values, sample.plan, sample.values.good(record + at, random), nameOf);
    const chosen = random.chance(defectShare) ? defects[defect++ % defects.length] : undefined;
    if (chosen !== undefined) setValue(values, chosen.plan, chosen.value);
    const rowsOf = (list: readonly ChildSamples[]): Map<string, FieldValues[]> =>
      childRows(list, record, random, rowsOf);
    yield writer.record(values, rowsOf(children));
  }
}

function childRows(
  children: readonly ChildSamples[],
  record: number,
  random: SeededRandom,
  rowsOf: (children: readonly ChildSamples[]) => Map<string, FieldValues[]>,
): Map<string, FieldValues[]> {
  const rows = new Map<string, FieldValues[]>();
  for (const { path, columns, children: inner } of children) {
    const count = 1 + random.below(MAX_CHILD_ROWS);
    const list = Array.from({ length: count }, (_, at) => {
      const values: FieldValues = new Map();
      for (const { plan, values: samples } of columns)
        setValue(values, plan, samples.good(record + at, random));
      for (const [inside, below] of rowsOf(inner)) values.set(inside, below);
      return values;
    });
    rows.set(path, list);
  }
  return rows;
}

function setValue(
  values: FieldValues,
  { origin, kind }: ColumnPlan,
  value: string | null,
  nameOf = (source: string) => source,
): void {
  const [first, ...others] = sourcesOfOrigin(origin).map(nameOf);
  if (first === undefined) return;
  values.set(
    first,
    value === null ? null : { text: value, isJson: isJsonText({ kind }), type: kind.columnType },
  );
  // Several fields in one column: the first holds all of it.
  for (const other of others) values.set(other, null);
}

function samplesOf(dataset: Dataset, columns: readonly ColumnPlan[]): ColumnSamples[] {
  return columns
    .filter(({ origin }) => isOfRecord(origin))
    .map((plan) => {
      const values = sampleValues(plan, resolveOptions(dataset, {}).values);
      const isNeeded = values.bad.includes(null);
      if (isNeeded && values.good(0, new SeededRandom(1)) === null)
        throw noValue(dataset, plan.property, 'one');
      return { plan, values };
    });
}

/** @param parent as `ChildPlan.parent` */
function childSamples(dataset: Dataset, plan: ContractPlan, parent: number): ChildSamples[] {
  return plan.children.flatMap((child, at) => {
    if (child.parent !== parent || !('path' in child.options)) return [];
    const { path } = child.options;
    return [{ path, columns: samplesOf(dataset, child.columns), children: childSamples(dataset, plan, at) }];
  });
}

/** The columns of all slots, each under the name that it has in the record. */
function slotSamples(dataset: Dataset, plan: ContractPlan): SlotColumn[] {
  return plan.children.flatMap(({ options, columns }) => {
    const samples = 'slots' in options ? samplesOf(dataset, columns) : [];
    const slots = 'slots' in options ? options.slots : [];
    return slots.flatMap((slot, at) =>
      samples.map((sample) => ({ sample, at, nameOf: (source: string) => slot[source] ?? source })),
    );
  });
}

function noValue({ name }: Dataset, property: string, what: string): SluiceError {
  return new SluiceError(
    'DATASET_INVALID',
    `Dataset ${name}: no value can be made up for ${property} (${what}); give the dataset a generator.ts.`,
  );
}

function* chunks(buffers: Iterable<Buffer>): Generator<Buffer> {
  let held: Buffer[] = [];
  let bytes = 0;
  for (const buffer of buffers) {
    held.push(buffer);
    bytes += buffer.length;
    if (bytes < CHUNK_BYTES) continue;
    yield Buffer.concat(held);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(held);
}
