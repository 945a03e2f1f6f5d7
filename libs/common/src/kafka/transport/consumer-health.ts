/** One handler's run: records progress, and knows whether the handler has fallen silent. */
export interface WorkInHand {
  progress(): void;
  isSilent(): boolean;
  end(): void;
}

/** Fetches come at least this often from a consumer that lives, even when there is nothing to read. */
const MAX_FETCH_GAP_MS = 90_000;
/** The next try of a longer wait is announced, for someone who has corrected what it waits for. */
const SHORT_WAIT_MS = 5_000;

interface Wait {
  readonly reason: string;
  readonly nextTryAt: number;
  readonly isLong: boolean;
}

/**
 * The health of a consumer (docs/failure.md, Alive and ready).
 * Live: every handler in hand has made progress lately, waits are declared and retried, and fetching continues.
 * Ready: member of the group and not waiting for anything.
 */
export class ConsumerHealth {
  private readonly inHand = new Set<{ lastProgressAt: number }>();
  private readonly waits = new Map<string, Wait>();
  private isMember = false;
  private lastFetchAt: number | null = null;

  constructor(
    private readonly maxSilenceMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Starts over from what is committed: what was waited for may now belong to another consumer, or be done there, and
   * then its recovery would never be declared. A wait that still exists is declared again at its next attempt.
   */
  joined(): void {
    this.isMember = true;
    this.waits.clear();
    this.lastFetchAt = this.now();
  }

  left(): void {
    this.isMember = false;
  }

  fetched(): void {
    this.lastFetchAt = this.now();
  }

  begin(): WorkInHand {
    const work = { lastProgressAt: this.now() };
    this.inHand.add(work);
    return {
      progress: () => {
        work.lastProgressAt = this.now();
      },
      isSilent: () => this.now() - work.lastProgressAt > this.maxSilenceMs,
      end: () => {
        this.inHand.delete(work);
      },
    };
  }

  /** Declares that `source` waits and will be tried again after `backoffMs`. */
  waiting(source: string, reason: string, backoffMs: number): void {
    const isLong = backoffMs > SHORT_WAIT_MS;
    this.waits.set(source, { reason, nextTryAt: this.now() + backoffMs, isLong });
  }

  recovered(source: string): void {
    this.waits.delete(source);
  }

  /** @returns why it is not live; empty when it is */
  notLive(): string[] {
    const now = this.now();
    const problems: string[] = [];
    for (const work of this.inHand) {
      if (now - work.lastProgressAt > this.maxSilenceMs) problems.push('a handler has made no progress');
    }
    for (const [source, wait] of this.waits) {
      if (now - wait.nextTryAt > this.maxSilenceMs) problems.push(`${source} waits and is not tried again`);
    }
    const idle = this.inHand.size === 0 && this.waits.size === 0;
    if (idle && this.lastFetchAt !== null && now - this.lastFetchAt > MAX_FETCH_GAP_MS) {
      problems.push('nothing has been fetched');
    }
    return problems;
  }

  /** @returns why it is not ready; empty when it is */
  notReady(): string[] {
    const waits = [...this.waits].map(([source, { reason, nextTryAt, isLong }]) => {
      const seconds = Math.max(0, Math.ceil((nextTryAt - this.now()) / 1_000));
      return `${source} waits: ${reason}${isLong ? `; next try in ${seconds} s` : ''}`;
    });
    return this.isMember ? waits : ['not a member of the consumer group yet', ...waits];
  }
}
