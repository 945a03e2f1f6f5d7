/** A contract in words: its columns and its findings, as tables of Markdown for a README. PURE. */
import { markdownTable } from '#common/text/markdown-table.js';
import { sourcesOfOrigin } from '../dataset/columns.js';
import type { Dataset } from '../dataset/dataset.js';
import { type ColumnPlan, planContract } from '../record/compile/contract-plan.js';
import { severityOf } from '../record/compile/check-plan.js';
import { resolveOptions } from '../dataset/dataset.js';
import type { ColumnFacts } from './table-facts.js';
import { tableFacts } from './table-sql.js';

export interface DescribedTable {
  /** `public.shop` */
  readonly table: string;
  readonly key: readonly string[];
  readonly columns: readonly DescribedColumn[];
}

export interface DescribedColumn {
  readonly column: string;
  /** Names of its fields in the source; else where its value comes from: `constant`, `parent`, `line` … */
  readonly source: string;
  readonly type: string;
  readonly notNull: boolean;
}

export interface DescribedFinding {
  readonly code: string;
  /** Severities that it has in the contract under the default options. */
  readonly severities: readonly string[];
  readonly fields: readonly string[];
}

export interface DescribedDataset {
  readonly name: string;
  readonly title: string;
  readonly tables: readonly DescribedTable[];
  /** Of the contract; general ones (docs/errors.md) may be given besides. */
  readonly findings: readonly DescribedFinding[];
}

/** @throws SluiceError DATASET_INVALID */
export function describeDataset(dataset: Dataset): DescribedDataset {
  const { columns, children } = planContract(dataset);
  // As `tableFacts`: the main table, then the children in the plan's order.
  const all = [columns, ...children.map((child) => child.columns)];
  return {
    name: dataset.name,
    title: dataset.title,
    tables: tableFacts(dataset).map(({ schema, table, key, columns: facts }, at) => ({
      table: `${schema}.${table}`,
      key,
      columns: (all[at] ?? []).map((column) => describeColumn(column, facts)),
    })),
    findings: findingsOf(all.flat(), dataset),
  };
}

/** The same as two tables of Markdown. */
export function describeInMarkdown({ tables, findings }: DescribedDataset): string {
  const columnTables = tables.map(
    ({ table, key, columns }) =>
      `Table \`${table}\`${key.length > 0 ? `, key ${key.map((name) => `\`${name}\``).join(', ')}` : ''}:\n\n` +
      markdownTable(
        ['column', 'source', 'type', 'null'],
        columns.map(({ column, source, type, notNull }) => [
          `\`${column}\``,
          source,
          `\`${type}\``,
          notNull ? 'no' : 'yes',
        ]),
      ),
  );
  const findingTable = markdownTable(
    ['code', 'severity', 'fields'],
    findings.map(({ code, severities, fields }) => [`\`${code}\``, severities.join(', '), fields.join(', ')]),
  );
  return [...columnTables, ...(findings.length > 0 ? [`Findings:\n\n${findingTable}`] : [])].join('\n');
}

function describeColumn(
  { target, origin, kind }: ColumnPlan,
  facts: readonly ColumnFacts[],
): DescribedColumn {
  const fact = facts.find(({ name }) => name === target);
  const sources = sourcesOfOrigin(origin);
  const source =
    origin.from === 'provenance'
      ? origin.fact
      : sources.length > 0
        ? sources.map((name) => (name === '' ? 'the element' : name)).join(' + ')
        : origin.from;
  return { column: target, source, type: fact?.type ?? kind.columnType, notNull: fact?.notNull ?? false };
}

function findingsOf(columns: readonly ColumnPlan[], dataset: Dataset): DescribedFinding[] {
  const options = resolveOptions(dataset, {}).values;
  const found = new Map<string, { severities: Set<string>; fields: Set<string> }>();
  for (const { origin, checks } of columns) {
    for (const check of checks) {
      if (check.acceptsAll) continue;
      const entry = found.get(check.code) ?? { severities: new Set<string>(), fields: new Set<string>() };
      found.set(check.code, entry);
      entry.severities.add(severityOf(check, options));
      for (const source of sourcesOfOrigin(origin)) entry.fields.add(source);
    }
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { severities, fields }]) => ({ code, severities: [...severities], fields: [...fields] }));
}
