/** A holder costs some 200 bytes. When all are taken, the one that was seen first is forgotten, and may send as if it were new. */
const MAX_HOLDERS = 10_000;

/**
 * Limits how many requests a holder sends: at most `perMinute` at once, and after that as many in a minute, evenly. So a program that
 * asks without a pause leaves the service to others.
 */
export class RequestLimit {
  private readonly byHolder = new Map<string, { left: number; at: number }>();

  /** @param now milliseconds that only grow */
  constructor(
    private readonly perMinute: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Counts one request. @returns seconds until the holder may send one; 0 when this one may pass */
  waitFor(holder: string): number {
    const now = this.now();
    const before = this.byHolder.get(holder) ?? this.added(holder, now);
    const grown = before.left + ((now - before.at) * this.perMinute) / 60_000;
    before.left = Math.min(this.perMinute, grown);
    before.at = now;
    if (before.left < 1) return Math.ceil(((1 - before.left) * 60) / this.perMinute);
    before.left -= 1;
    return 0;
  }

  private added(holder: string, now: number): { left: number; at: number } {
    const [oldest] = this.byHolder.keys();
    if (this.byHolder.size >= MAX_HOLDERS && oldest !== undefined) this.byHolder.delete(oldest);
    const added = { left: this.perMinute, at: now };
    this.byHolder.set(holder, added);
    return added;
  }
}
