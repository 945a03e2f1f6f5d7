/**
 * Names of members that the contract does not read, from the batch to the readers of a job's report. PURE.
 *
 * They are foreign text. They travel only as labels ({@link travellingMembers}): short, without anything that could
 * steer a terminal or that `jsonb` cannot hold. They are no metric's label and stand in no log.
 */

/** Names to records that hold them. */
export type MemberCounts = Readonly<Record<string, number>>;

/**
 * Names that a batch reports, and that are kept of a job. Up to here the sums are exact, in any order of the batches;
 * of more names the rarest are dropped, and the sums of the others are lower bounds.
 */
export const MAX_KEPT_MEMBERS = 20;
/** Names that are shown of a job. */
export const MAX_SHOWN_MEMBERS = 10;
export const MAX_MEMBER_NAME_CHARACTERS = 64;

/** What a batch reports: its most frequent names, each cut and with its control characters written out. */
export function travellingMembers(counts: MemberCounts): MemberCounts {
  const labels = new Map<string, number>();
  for (const [name, records] of Object.entries(counts)) {
    const label = labelOf(name);
    labels.set(label, (labels.get(label) ?? 0) + records);
  }
  return Object.fromEntries(mostFrequent(Object.fromEntries(labels), MAX_KEPT_MEMBERS));
}

/** At most `max` of them, the most frequent first, names of equal counts in the order of their code units. */
export function mostFrequent(counts: MemberCounts, max: number): [string, number][] {
  return Object.entries(counts)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, max);
}

/** A member may have an empty name, which is no label. */
const EMPTY_NAME = '""';

function labelOf(name: string): string {
  if (name === '') return EMPTY_NAME;
  const written = name.toWellFormed().replace(/\p{C}/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
  if (written.length <= MAX_MEMBER_NAME_CHARACTERS) return written;
  // A pair of surrogates may be cut in two.
  return `${written.slice(0, MAX_MEMBER_NAME_CHARACTERS - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
