/** The limit of wrong tokens that an address may send within the window. */
const MAX_FAILURES = 20;
const WINDOW_MS = 60_000;
/** An address costs some 200 bytes. When all are taken, the oldest is forgotten. */
const MAX_ADDRESSES = 10_000;

/** Counts wrong tokens by address, so that a caller who tries many costs the database no query for each. */
export class FailedAttempts {
  private readonly byAddress = new Map<string, { count: number; since: number }>();

  /** @param now milliseconds that only grow */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @returns seconds until the address may try again; 0 when it may now */
  waitOf(address: string): number {
    const failures = this.byAddress.get(address);
    if (failures === undefined || failures.count < MAX_FAILURES) return 0;
    return Math.max(0, Math.ceil((failures.since + WINDOW_MS - this.now()) / 1000));
  }

  note(address: string): void {
    const now = this.now();
    const before = this.byAddress.get(address);
    if (before !== undefined && now - before.since < WINDOW_MS) {
      before.count += 1;
      return;
    }
    this.byAddress.delete(address);
    const [oldest] = this.byAddress.keys();
    if (this.byAddress.size >= MAX_ADDRESSES && oldest !== undefined) this.byAddress.delete(oldest);
    this.byAddress.set(address, { count: 1, since: now });
  }
}
