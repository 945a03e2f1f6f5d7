/**
 * Values that a column of a contract accepts, and values that it refuses, for generated files. PURE. Found by asking its
 * kind and rules about candidates, so that no rule has to say how to satisfy it; what has `examples` is asked about those.
 */
import type { OptionValues } from '../dataset/dataset.js';
import type { SeededRandom } from '../dataset/generate.js';
import { severityOf } from '../record/compile/check-plan.js';
import type { ColumnPlan } from '../record/compile/contract-plan.js';
import { acceptsOf, EXAMPLE_CODES, EXAMPLE_WORDS, EXAMPLES, NUMBERED_EXAMPLES } from './example-values.js';

/** Values of one column. */
export interface SampleValues {
  /** A value for record N. Null where a null is all that could be found. */
  readonly good: (record: number, random: SeededRandom) => string | null;
  /** Values that give a finding each. Null stands for a field that is empty. */
  readonly bad: readonly (string | null)[];
}

/** What is wrong for one reason or another; in this order, so that the same contract gives the same defects. */
const WRONG: readonly (string | null)[] = [
  null,
  'not a value',
  '-7',
  '2026-02-30',
  '99999999999999999999',
  '12.345678901',
  'x'.repeat(300),
  '?',
];

/** How many records a shape is tried for before it is trusted. */
const TRIED = [0, 1, 9, 27, 99, 300, 676, 2026, 49_999];

/** Of PostgreSQL: columns that are filled with words, so that a file looks like one. */
const WORDY_TYPE = /^(text|varchar|character varying)/;

/** @param options those under which a finding is to be given */
export function sampleValues(column: ColumnPlan, options: OptionValues): SampleValues {
  const accepts = acceptsOf(column);
  const judging = {
    ...column,
    checks: column.checks.filter((check) => severityOf(check, options) !== 'off'),
  };
  const findsNothing = acceptsOf(judging);
  const bad = WRONG.filter((value) => {
    if (value === null) return refusesNull(judging);
    return !findsNothing(value) && (!isJsonText(column) || isJson(value));
  });
  // A rule across columns says nothing of what it accepts, and lets a null pass.
  if (column.checks.some(({ judges }) => judges === 'record')) return { good: () => null, bad };
  const examples = [column.kind.examples, ...column.checks.map((check) => check.examples)]
    .flatMap((list) => list ?? [])
    .filter(accepts);
  if (examples.length > 0) return { good: (_, random) => random.pick(examples), bad };
  const words = WORDY_TYPE.test(column.kind.columnType) ? EXAMPLE_WORDS.filter(accepts) : [];
  if (words.length > 0) return { good: (_, random) => random.pick(words), bad };
  const shape = NUMBERED_EXAMPLES.find((one) => TRIED.every((record) => accepts(one(record))));
  if (shape !== undefined) return { good: shape, bad };
  const fixed = [...EXAMPLES, ...EXAMPLE_CODES, ...EXAMPLE_WORDS].filter(accepts);
  return { good: (_, random) => (fixed.length > 0 ? random.pick(fixed) : null), bad };
}

/** Values that differ for each record; null where none were found. */
export function uniqueValues(column: ColumnPlan): ((record: number) => string) | null {
  const accepts = acceptsOf(column);
  const found = NUMBERED_EXAMPLES.find((shape) => {
    const values = TRIED.map((record) => shape(record));
    return new Set(values).size === values.length && values.every(accepts);
  });
  return found ?? null;
}

/** In NDJSON its text is JSON itself. */
export function isJsonText({ kind }: Pick<ColumnPlan, 'kind'>): boolean {
  return kind.reads === 'json' || kind.inJson !== undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function refusesNull({ checks, optional }: ColumnPlan): boolean {
  return !optional && checks.some(({ judges }) => judges === 'null');
}
