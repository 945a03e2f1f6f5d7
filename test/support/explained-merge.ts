import { type MergeCounts, type MergeDelete, MergeOracle, type MergeRecord } from './merge-oracle.js';
import type { Written } from './other-writers.js';
import { comparable } from './random-tables.js';

/**
 * Whether what tables hold after a merge beside other writers can be explained: for each key the job came before, after
 * or between two transactions of the writer, and the counts are those of one such order.
 *
 * `updated` and `unchanged` are one figure here: a row and its children are looked at one after the other, and a writer who
 * comes between them and overwrites all of it leaves open which of the two it was.
 */
export interface MergeBesideWriters {
  readonly mode: 'append' | 'upsert';
  readonly before: readonly MergeRecord[];
  /** Accepted ones, in the order of the source. */
  readonly records: readonly (MergeRecord | MergeDelete)[];
  readonly history: ReadonlyMap<string, readonly Written[]>;
  readonly after: readonly MergeRecord[];
  readonly counts: MergeCounts;
}

/** @returns what cannot be explained; empty when all can */
export function unexplained(merge: MergeBesideWriters): string[] {
  const { before, records, history, after, counts } = merge;
  const all = [...before, ...records, ...after].map(({ key }) => key);
  let sums = new Set(['0,0,0,0']);
  const problems: string[] = [];
  for (const key of new Set([...all, ...history.keys()])) {
    const possible = outcomesOf(key, merge);
    if (possible.size === 0) problems.push(`no order of writers explains ${key}`);
    sums = new Set(
      [...sums].flatMap((sum) =>
        [...possible].map((own) => {
          const parts = own.split(',').map(Number);
          return sum
            .split(',')
            .map((part, at) => Number(part) + (parts[at] ?? 0))
            .join(',');
        }),
      ),
    );
  }
  const found = textOf(counts);
  if (problems.length === 0 && !sums.has(found)) {
    problems.push(
      `inserted, there already, deleted, superseded: ${found}, and only ${[...sums].join('; ')} can be`,
    );
  }
  return problems;
}

/** The counts that a key can have had. */
function outcomesOf(key: string, merge: MergeBesideWriters): Set<string> {
  const own = merge.records.filter((record) => record.key === key);
  const written = merge.history.get(key) ?? [];
  const wanted = textOfRecord(merge.after.find((record) => record.key === key) ?? null);
  const possible = new Set<string>();
  for (let place = 0; place <= written.length; place++) {
    const oracle = new MergeOracle();
    const present =
      place === 0
        ? (merge.before.find((record) => record.key === key) ?? null)
        : (written[place - 1] ?? null);
    if (present !== null) oracle.append([present]);
    const counts = merge.mode === 'append' ? oracle.append(own.filter(isWritten)) : oracle.upsert(own);
    const last = place === written.length ? (oracle.records()[0] ?? null) : (written.at(-1) ?? null);
    if (textOfRecord(last) === wanted) possible.add(textOf(counts));
  }
  return possible;
}

function isWritten(record: MergeRecord | MergeDelete): record is MergeRecord {
  return !('deletes' in record);
}

function textOf({ inserted, updated, unchanged, deleted, superseded }: MergeCounts): string {
  return [inserted, updated + unchanged, deleted, superseded].join(',');
}

function textOfRecord(record: Written): string {
  return record === null ? '' : JSON.stringify(comparable([record]));
}
