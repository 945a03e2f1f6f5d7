export interface RestartRule {
  /** How often a process may end within the window before it stays down. */
  readonly mostRestarts: number;
  readonly windowMs: number;
  /** Doubled at each further restart within the window. */
  readonly firstDelayMs: number;
}

/** 0.5, 1, 2, 4 and 8 s. */
const USUAL_RULE: RestartRule = { mostRestarts: 5, windowMs: 60_000, firstDelayMs: 500 };

/** Bounds the restarts of one process: a passing fault is survived, a lasting one is not hidden. */
export class RestartBudget {
  private restartedAt: number[] = [];

  constructor(private readonly rule = USUAL_RULE) {}

  /** @returns how long to wait before the next start, null when the process ended too often */
  next(nowMs: number): number | null {
    this.restartedAt = this.restartedAt.filter((at) => nowMs - at < this.rule.windowMs);
    if (this.restartedAt.length >= this.rule.mostRestarts) return null;
    this.restartedAt.push(nowMs);
    return this.rule.firstDelayMs * 2 ** (this.restartedAt.length - 1);
  }

  toString(): string {
    return `${this.rule.mostRestarts} restarts within ${this.rule.windowMs / 1000} s`;
  }
}
