/** The topic that a dataset takes records of foreign producers from, one a message (docs/architecture.md, Topics). PURE. */

import { contractFields } from './contract-fields.js';
import type { Dataset } from './dataset.js';

/** What a dataset says about its inbox; `{}` takes all defaults. */
export interface Inbox {
  /**
   * CSV: the columns of a message that names none in a header `columns`. Default: `csv.columns`, else the fields that the
   * contract reads, in its order.
   */
  readonly columns?: readonly string[];
  /** Partitions of the topic when it is made; as many as the raw topic has when left out. */
  readonly partitions?: number;
}

export const MAX_INBOX_PARTITIONS = 1_000;

/** What is wrong with `Dataset.inbox`, as clauses. */
export function inboxProblems(inbox: unknown, format: unknown): string[] {
  if (inbox === undefined) return [];
  if (typeof inbox !== 'object' || inbox === null || Array.isArray(inbox)) return ['inbox is not an object'];
  const { columns, partitions, ...others } = inbox as Readonly<Record<string, unknown>>;
  const problems = Object.keys(others).map(
    (name) => `inbox has no option "${name}"; it has columns, partitions`,
  );
  if (columns !== undefined) {
    const isList =
      Array.isArray(columns) &&
      columns.length > 0 &&
      columns.every((column) => typeof column === 'string' && column !== '') &&
      new Set(columns).size === columns.length;
    if (!isList) problems.push('inbox.columns does not list the names of columns, each once');
    else if (format !== 'csv')
      problems.push('inbox.columns says nothing of a dataset whose records name their fields');
  }
  const isCount =
    Number.isInteger(partitions) && Number(partitions) >= 1 && Number(partitions) <= MAX_INBOX_PARTITIONS;
  if (partitions !== undefined && !isCount)
    problems.push(`inbox.partitions is not a number from 1 to ${MAX_INBOX_PARTITIONS}`);
  return problems;
}

/** The columns of a message that names none; none for formats that name their fields in each record. */
export function inboxColumns({
  format,
  inbox,
  csv,
  contract,
  deletes,
}: Pick<Dataset, 'format' | 'inbox' | 'csv' | 'contract' | 'deletes'>): readonly string[] {
  if (format !== 'csv') return [];
  return (
    inbox?.columns ??
    csv?.columns ??
    contractFields({ contract, ...(deletes === undefined ? {} : { deletes }) })
  );
}
