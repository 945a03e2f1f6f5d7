/** Texts that a column of a contract stores, to try on the column of the target. PURE. */
import type { Kind } from '../../dataset/kinds.js';
import { acceptsOf, EXAMPLES, EXAMPLES_BY_TYPE } from '../../derive/example-values.js';
import type { ColumnPlan, ContractPlan } from '../../record/compile/contract-plan.js';

export interface FilledColumn {
  readonly table: string;
  readonly target: string;
  readonly kind: Kind;
  /** As PostgreSQL reads them. Empty: nothing is known of what the column stores. */
  readonly samples: readonly string[];
}

/** The columns of all tables of a contract. */
export function filledColumns({ table, columns, children }: ContractPlan): readonly FilledColumn[] {
  const main = columns.map((column) => filled(table, column));
  const levels: (readonly FilledColumn[])[] = [];
  const planned: (readonly ColumnPlan[])[] = [];
  for (const child of children) {
    const parentColumns = planned[child.parent] ?? columns;
    const parentFilled = levels[child.parent] ?? main;
    planned.push(child.columns);
    levels.push(
      child.columns.map((column) => {
        const { origin } = column;
        if (origin.from !== 'parent') return filled(child.table.name, column);
        const at = parentColumns.findIndex(({ property }) => property === origin.property);
        const { kind, samples } = parentFilled[at] ?? { kind: column.kind, samples: [] };
        return { table: child.table.name, target: column.target, kind, samples };
      }),
    );
  }
  return [...main, ...levels.flat()];
}

function filled(table: string, column: ColumnPlan): FilledColumn {
  const { target, kind } = column;
  return { table, target, kind, samples: samplesOf(column) };
}

/**
 * What a column stores of the samples, and of what its kind lists as examples; of a kind that reads another notation, what its
 * type has in any notation. Nothing for a text whose values are not listed: its rules may make it anything, e.g. UUIDs.
 */
function samplesOf({ origin, kind, checks }: ColumnPlan): readonly string[] {
  const stored = (value: string): string => kind.toText?.(value) ?? value;
  if (origin.from === 'constant') return origin.value === null ? [] : [stored(origin.value)];
  const isListed = kind.examples !== undefined;
  if (kind.columnType === 'text' && !isListed) return [];
  // A list of texts: one element that is NULL.
  const candidates =
    kind.columnType === 'text[]' ? [''] : isListed ? kind.examples : [...EXAMPLES, ...inNotationOf(kind)];
  const accepts = acceptsOf({ checks });
  const found = candidates.filter((value) => isTrue(() => kind.accepts(value) && accepts(value))).map(stored);
  if (found.length > 0) return [...new Set(found)];
  const known = EXAMPLES_BY_TYPE[kind.columnType.replace(/\(.*\)|\[\]/g, '')];
  if (known === undefined) return [];
  return [kind.columnType.endsWith('[]') ? `{${JSON.stringify(known)}}` : known];
}

/** Numbers with the kind's own marks. */
function inNotationOf({ plainNumber }: Kind): readonly string[] {
  return plainNumber === undefined ? [] : ['12.5', '0.01'].map((number) => plainNumber.of(number));
}

/** Code of a dataset that throws is reported when its records are validated. */
function isTrue(question: () => boolean): boolean {
  try {
    return question();
  } catch {
    return false;
  }
}
