/** The fields of a record that a contract reads by name. PURE. */
import { sourcesOfOrigin } from '../../dataset/columns.js';
import type { ColumnPlan, ContractPlan } from './contract-plan.js';

export interface FieldRead {
  /** As the file names it. */
  readonly name: string;
  /** The column that is filled from it: `shop.opened`. */
  readonly column: string;
  /** The column is not optional, so that a file without the field is refused. */
  readonly isNeeded: boolean;
}

/** Those of the main table and of slots; a field that several columns read stands here several times. */
export function fieldsRead({ table, columns, children, deletes }: ContractPlan): readonly FieldRead[] {
  const ofSlots = children.flatMap((child) => {
    const slots = 'slots' in child.options ? child.options.slots : [];
    return slots.flatMap((slot) =>
      child.columns.flatMap((column) => fieldsOf(child.table.name, column, (source) => slot[source])),
    );
  });
  const marker = deletes?.marker ?? null;
  const ofDeletes = marker === null ? [] : fieldsOf('deletes', marker.column, (source) => source);
  return [
    ...columns.flatMap((column) => fieldsOf(table, column, (source) => source)),
    ...ofSlots,
    ...ofDeletes,
  ];
}

function fieldsOf(
  table: string,
  { origin, target, optionalInFile }: ColumnPlan,
  nameOf: (source: string) => string | undefined,
): FieldRead[] {
  return sourcesOfOrigin(origin).flatMap((source) => {
    const name = nameOf(source);
    return name === undefined ? [] : [{ name, column: `${table}.${target}`, isNeeded: !optionalInFile }];
  });
}
