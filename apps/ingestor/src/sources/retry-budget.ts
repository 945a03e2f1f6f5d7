/**
 * How often an interrupted download may be taken up again.
 *
 * - RT1: `retries` interruptions in a row are forgiven; the wait before each is doubled: factor × 1, 2, 4 …
 * - RT2: the budget is whole again after `renewalBytes` of new bytes since the first interruption it was charged with.
 *   So a download ends after at most retries × (size ÷ renewalBytes + 1) requests more, and one that makes
 *   no progress after `retries`.
 */
export class RetryBudget {
  #spent = 0;
  #chargedAt = 0;

  constructor(
    private readonly limits: {
      readonly retries: number;
      readonly retryFactorMs: number;
      readonly retryRenewalBytes: number;
    },
  ) {}

  /**
   * Charges one interruption.
   * @param position bytes delivered so far
   * @returns how long to wait before the next request, in ms; null when the budget is spent
   */
  spend(position: number): number | null {
    const { retries, retryFactorMs, retryRenewalBytes } = this.limits;
    if (position - this.#chargedAt >= retryRenewalBytes) this.#spent = 0;
    if (this.#spent === 0) this.#chargedAt = position;
    if (this.#spent >= retries) return null;
    return retryFactorMs * 2 ** this.#spent++;
  }
}
