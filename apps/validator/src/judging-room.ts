/**
 * Lets one batch after the other be judged while what was judged before, and is not published yet, stays within bounds.
 *
 * What a batch comes to is known only when it is judged: its COPY text is about as large as it is itself, its refused
 * records can take sixty times as much. So the bound may be passed by one batch, and never by two (RB2).
 */
export class JudgingRoom {
  private held = 0;
  private judging = false;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly maxBytes: number) {}

  /** Resolves when the caller may judge one batch; {@link Judging.judged} or {@link Judging.left} has to follow. */
  async enter(): Promise<Judging> {
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
      left: () => {
        this.judging = false;
        this.wake();
      },
    };
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

export interface Judging {
  /** The batch is judged and holds so much. @returns what has to be called when it is published */
  readonly judged: (bytes: number) => () => void;
  /** There is nothing to publish. */
  readonly left: () => void;
}
