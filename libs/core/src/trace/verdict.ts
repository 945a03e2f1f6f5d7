/** The answer of a trace in one word. PURE. */
import type { TraceFate, TraceSupersededBy, TraceVerdict } from '#api/trace.js';

export interface JudgedTrace {
  /** Null: it could not be looked up. */
  readonly isThere: boolean | null;
  /** A record that was found should be the row. */
  readonly isStanding: boolean;
  readonly removedBy: TraceSupersededBy | null;
  readonly records: readonly { readonly job: string; readonly fate: TraceFate }[];
}

/** A job that is not known any more may have been visible: `TraceHistory.unknownJobs` counts it. */
const NOT_VISIBLE: readonly TraceFate[] = [
  'job-active',
  'job-failed',
  'job-cancelled',
  'dry-run',
  'job-unknown',
];

/**
 * - TV1: whether the row is there is what the table says; only why is concluded.
 * - TV2: where there is no row, the newest job that had something to do with the key gives the reason (ids are UUIDs v7). Of one
 *   job a refusal goes before what is not visible.
 */
export function verdictOf({ isThere, isStanding, removedBy, records }: JudgedTrace): TraceVerdict {
  if (isThere === true) return isStanding ? 'in-table' : 'row-unexplained';
  if (isStanding) return isThere === false ? 'missing' : 'in-table';
  const newest = (fates: readonly TraceFate[]): string =>
    records.reduce((last, { job, fate }) => (fates.includes(fate) && job > last ? job : last), '');
  const reasons: readonly (readonly [TraceVerdict, string])[] = [
    ['refused', newest(['refused'])],
    ['not-visible', newest(NOT_VISIBLE)],
    [removedBy?.why === 'replaced' ? 'replaced' : 'deleted', removedBy?.job ?? ''],
  ];
  const [found] = reasons.reduce((best, reason) => (reason[1] > best[1] ? reason : best), NOT_FOUND);
  return found;
}

const NOT_FOUND: readonly [TraceVerdict, string] = ['not-found', ''];
