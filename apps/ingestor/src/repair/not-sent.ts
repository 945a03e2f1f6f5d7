import type { NotSent } from '#api/dead-letters.js';

/** Counts dead letters that are left as they are, by reason. PURE. */
export class NotSentCounts {
  private readonly byReason = new Map<string, NotSent>();

  add(reason: string, message: string, example: string, count = 1): void {
    const known = this.byReason.get(reason);
    this.byReason.set(
      reason,
      known === undefined ? { reason, message, count, example } : { ...known, count: known.count + count },
    );
  }

  /** The most frequent first. */
  list(): NotSent[] {
    return [...this.byReason.values()].sort(
      (a, b) => b.count - a.count || (a.reason < b.reason ? -1 : a.reason > b.reason ? 1 : 0),
    );
  }
}
