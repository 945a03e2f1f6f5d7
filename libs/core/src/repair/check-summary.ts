import {
  type CheckReason,
  type DeadLetterCheck,
  MAX_CHECK_REASONS,
  MAX_EXAMPLES,
  UNKNOWN_TO_A_CHECK,
} from '#api/dead-letter-edits.js';
import type { CheckedRecord } from './check-record.js';
import type { CannotBeSent } from './record-to-send.js';

/** Of a record that would be skipped: it is neither loaded nor refused. */
export const WOULD_BE_SKIPPED = 'WOULD_BE_SKIPPED';
/** What is beyond MAX_CHECK_REASONS. */
const OTHERS = '…';

/** Adds checks up, in memory that does not depend on how many they are. PURE. */
export class CheckSummary {
  private checked = 0;
  private passing = 0;
  private refused = 0;
  private unsendable = 0;
  private readonly reasons = new ReasonCounts();
  private readonly unsendableReasons = new ReasonCounts();

  addUnsendable(id: string, { reason }: CannotBeSent): void {
    this.checked += 1;
    this.unsendable += 1;
    this.unsendableReasons.add(id, reason, null);
  }

  add(id: string, checked: CheckedRecord): void {
    this.checked += 1;
    if (checked.outcome === 'passes') {
      this.passing += 1;
      return;
    }
    this.refused += 1;
    if (checked.outcome === 'skipped') {
      this.reasons.add(id, WOULD_BE_SKIPPED, null);
      return;
    }
    const seen = new Set<string>();
    for (const { code, field, severity } of checked.findings) {
      const place = field?.replace(/\[\d{1,9}\]/g, '[]') ?? null;
      const key = `${code} ${place ?? ''}`;
      if (severity !== 'error' || seen.has(key)) continue;
      seen.add(key);
      this.reasons.add(id, code, place);
    }
  }

  result(): DeadLetterCheck {
    const { checked, passing, refused, unsendable } = this;
    return {
      ...{ checked, passing, refused, unsendable },
      reasons: this.reasons.list(),
      unsendableReasons: this.unsendableReasons.list(),
      unknown: UNKNOWN_TO_A_CHECK,
    };
  }
}

/** Counts by code and field, with the first few ids of each. */
export class ReasonCounts {
  private readonly counts = new Map<
    string,
    { code: string; field: string | null; count: number; examples: string[] }
  >();

  constructor(private readonly maxExamples: number = MAX_EXAMPLES) {}

  add(id: string, code: string, field: string | null): void {
    const key = JSON.stringify([code, field]);
    const isFull = this.counts.size >= MAX_CHECK_REASONS - 1 && !this.counts.has(key);
    const known = isFull ? OTHERS : key;
    let reason = this.counts.get(known);
    if (reason === undefined) {
      reason = isFull
        ? { code: OTHERS, field: null, count: 0, examples: [] }
        : { code, field, count: 0, examples: [] };
      this.counts.set(known, reason);
    }
    reason.count += 1;
    if (reason.examples.length < this.maxExamples) reason.examples.push(id);
  }

  /** The most frequent first. */
  list(): CheckReason[] {
    return [...this.counts.values()].sort(
      (a, b) => b.count - a.count || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0),
    );
  }
}
