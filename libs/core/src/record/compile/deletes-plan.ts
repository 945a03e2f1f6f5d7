/**
 * What is read and stored of a record that is a delete: the main table's key, and its version. PURE.
 */
import type { SluiceError } from '#common/errors/sluice-error.js';
import { type CleaningOptions, sourcesOfOrigin } from '../../dataset/columns.js';
import type { Dataset } from '../../dataset/dataset.js';
import { DELETED_SECTION, resolveDeletes } from '../../dataset/deletes.js';
import { text } from '../../dataset/kinds.js';
import { cleanString } from '../cleaning.js';
import { type CheckPlan, kindFor, severityOf } from './check-plan.js';
import type { ColumnPlan, TablePlan } from './contract-plan.js';

export interface DeletesPlan {
  /** Its section: the key's columns, and behind them that of the version, where the main table has one. */
  readonly table: TablePlan;
  readonly columns: readonly ColumnPlan[];
  readonly tombstones: boolean;
  readonly marker: DeleteMarkerPlan | null;
}

export interface DeleteMarkerPlan {
  /** As the readers take the columns of a contract; no table has it. */
  readonly column: ColumnPlan;
  readonly values: readonly string[];
}

/** What the plan of a contract is made of so far. */
export interface PlannedMain {
  readonly plan: TablePlan;
  readonly columns: readonly ColumnPlan[];
  readonly cleaning: CleaningOptions;
  readonly tables: readonly TablePlan[];
  readonly isJson: boolean;
  /** Makes the error for what does not fit. */
  readonly invalid: (problem: string) => SluiceError;
}

/** @throws SluiceError DATASET_INVALID; null for a dataset without deletes */
export function planDeletes(
  deletes: Dataset['deletes'],
  { plan, columns, cleaning, tables, isJson, invalid }: PlannedMain,
): DeletesPlan | null {
  const resolved = resolveDeletes(deletes);
  if (resolved === null) return null;
  if (tables.some(({ table }) => table === DELETED_SECTION))
    throw invalid(`a table is named "${DELETED_SECTION}", as Sluice's own of deletes is`);
  const columnOf = (target: string): ColumnPlan[] => columns.filter((column) => column.target === target);
  const ofKey = plan.key.flatMap(columnOf).map(ofDelete);
  const ofVersion = plan.version === null ? [] : columnOf(plan.version).map(ofDelete).map(versionOfDelete);
  const own = [...ofKey, ...ofVersion];
  const { marker } = resolved;
  const fields = fieldsOf(ofKey);
  const dotted = isJson ? undefined : fields.find((field) => field.includes('.'));
  if (resolved.tombstones && fields.length > 1 && dotted !== undefined)
    throw invalid(
      `the key of a message without a value is a JSON object, which cannot name "${dotted}" of the key`,
    );
  for (const value of marker?.values ?? []) {
    if (cleanString(value, cleaning) !== value)
      throw invalid(`deletes.marker names ${JSON.stringify(value)}, which no field has once it is cleaned`);
  }
  return {
    table: {
      schema: plan.schema,
      table: DELETED_SECTION,
      columns: own.map(({ target }) => target),
      key: plan.key,
      version: plan.version,
      sources: Object.fromEntries(
        own.flatMap(({ target }) => {
          const source = plan.sources[target];
          return source === undefined ? [] : [[target, source]];
        }),
      ),
      parent: null,
    },
    columns: own,
    tombstones: resolved.tombstones,
    marker:
      marker === null
        ? null
        : {
            values: marker.values,
            column: {
              property: '',
              target: 'marker',
              origin: { from: 'source', source: marker.source },
              kind: kindFor(text(), isJson),
              ifNull: null,
              optionalInFile: marker.optional,
              checks: [],
              optional: true,
            },
          },
  };
}

/** A rule that needs other columns is not asked: a delete need not have them. */
function ofDelete(column: ColumnPlan): ColumnPlan {
  const alone = column.checks.filter(({ judges }) => judges !== 'pair' && judges !== 'record');
  return { ...column, checks: alone };
}

/**
 * A delete may lack the version, but not have a wrong one: what a warning stores instead would make it as new as any, or
 * as old.
 */
function versionOfDelete(column: ColumnPlan): ColumnPlan {
  return { ...column, checks: column.checks.map(demanding), optional: true, ifNull: null };
}

function demanding(check: CheckPlan): CheckPlan {
  if (check.otherwise === undefined) return check;
  return {
    ...check,
    severity: (options) => (severityOf(check, options) === 'off' ? 'off' : 'error'),
  };
}

/** Fields that columns read, each once, in their order. */
export function fieldsOf(columns: readonly ColumnPlan[]): readonly string[] {
  return [...new Set(columns.flatMap(({ origin }) => sourcesOfOrigin(origin)))];
}
