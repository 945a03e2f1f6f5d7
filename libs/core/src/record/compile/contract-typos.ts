/**
 * What is written in a contract and would be without effect, or have another one than it seems. PURE.
 * TypeScript finds some of it; a dataset of compiled JavaScript has no such help.
 */
import { type ColumnMetadata, contractMetadata } from '../../dataset/columns.js';
import type { ContractClass } from '../../dataset/dataset.js';
import type { Kind } from '../../dataset/kind.js';
import type { RecordRuleDefinition } from '../../dataset/rules.js';
import type { CheckPlan } from './check-plan.js';

/** Values of a contract are texts: a property of these types would mislead. */
const CONVERTED_TYPES: readonly unknown[] = [Number, Boolean, Date, BigInt];

/** Each a sentence without its end. */
export function typosOf(contract: ContractClass): readonly string[] {
  const { columns, children, problems } = contractMetadata(contract);
  const known = new Set([...columns, ...children].map(({ property }) => property));
  const undecorated = declaredProperties(contract).filter((property) => !known.has(property));
  return [
    ...problems,
    ...undecorated.map(
      (property) => `"${property}" has no decorator, so it is no column: give it one, or take it out`,
    ),
    ...columns.flatMap(({ property, origin }) => {
      const type: unknown = Reflect.getMetadata('design:type', contract.prototype as object, property);
      const isOfRecord = origin.from === 'source' || origin.from === 'fields';
      if (!isOfRecord || !CONVERTED_TYPES.includes(type)) return [];
      const name = (type as { readonly name: string }).name;
      return [
        `"${property}" is declared ${name === 'Date' ? name : name.toLowerCase()}, and values are texts: ` +
          'declare it string, and let its kind say what the text is',
      ];
    }),
  ];
}

/** Declared properties are own ones of each object (`useDefineForClassFields`); compiled without that, they are not seen. */
function declaredProperties(contract: ContractClass): readonly string[] {
  try {
    return Object.keys(Reflect.construct(contract as new () => object, []));
  } catch {
    // A constructor that cannot be called without its arguments says nothing about properties.
    return [];
  }
}

/** What is wrong with a column by itself, as a sentence without its end; null for nothing. */
export function problemOfColumn({ property, origin, kind }: ColumnMetadata, isJson: boolean): string | null {
  if (origin.from !== 'fields') return null;
  if (origin.sources.length === 0) return `"${property}" names no sources`;
  const asked = isJson ? (kind.inJson ?? kind) : kind;
  return asked.reads === 'json'
    ? `"${property}" joins fields, and its kind ${kind.name} reads one JSON value`
    : null;
}

const NUMBERS = /^(?:smallint|integer|bigint|numeric(?:\([0-9]+,[0-9]+\))?)$/;
const TIMES = /^(?:date|time|timestamp|timestamptz)$/;

/**
 * Whether a rule across columns can be asked of columns of these kinds, its own first.
 * @returns what is wrong, to follow the rule's name and place; null for nothing
 */
export function problemOfAcross(
  { others, otherwise }: Pick<CheckPlan, 'others' | 'otherwise'>,
  { of }: RecordRuleDefinition,
  kinds: readonly Kind[],
): string | null {
  if (otherwise !== undefined) return 'has an otherwise, and which of its values is wrong is not known';
  if (others.length === 0) return 'names no other column';
  const types = kinds.map(({ columnType }) => columnType);
  if (of === 'numbers') {
    const odd = types.find((type) => !NUMBERS.test(type));
    if (odd !== undefined) return `is for whole and decimal numbers, and a column of it is ${odd}`;
  }
  if (of === 'times') {
    const odd = types.find((type) => !TIMES.test(type) || type !== types[0]);
    if (odd !== undefined)
      return `is for days or times of one type, and its columns are ${types.join(' and ')}`;
  }
  return null;
}
