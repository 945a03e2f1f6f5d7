/**
 * Admits batches to judging, one at a time, while the batches that are judged and not yet published stay within the limit.
 *
 * The size of a judged batch is known only after judging: its COPY text is about as large as it is itself, its refused
 * records can take sixty times as much. So the limit may be exceeded by one batch, and never by two (RB2).
 */
export class InFlightLimit {
  private held = 0;
  private judging = false;
  private readonly waiting: (() => void)[] = [];

  constructor(readonly maxBytes: number) {}

  /** Batches that wait to be judged. */
  get waitingCount(): number {
    return this.waiting.length;
  }

  /** Resolves when the caller may judge one batch; {@link Admission.judged} or {@link Admission.released} has to follow. */
  async admit(): Promise<Admission> {
    while (this.judging || this.held >= this.maxBytes)
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.judging = true;
    return {
      judged: (bytes) => {
        this.judging = false;
        this.held += bytes;
        this.wake();
        return () => {
          this.held -= bytes;
          this.wake();
        };
      },
      released: () => {
        this.judging = false;
        this.wake();
      },
    };
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

export interface Admission {
  /** The batch is judged and holds this many bytes. @returns the function to call when it is published */
  readonly judged: (bytes: number) => () => void;
  /** There is nothing to publish. */
  readonly released: () => void;
}
