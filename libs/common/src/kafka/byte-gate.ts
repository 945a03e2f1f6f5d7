/**
 * Lets work begin while what is under way stays within a number of bytes; the rest waits, first come first served.
 * One piece that is larger than the whole bound goes alone: it must be done some time.
 */
export class ByteGate {
  private held = 0;
  private readonly waiting: { readonly bytes: number; readonly enter: () => void }[] = [];

  constructor(private readonly maxBytes: number) {}

  /** Runs `work` when there is room for it. */
  async within<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const leave = await this.enter(bytes);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** @returns what has to be called, once, when it is done */
  async enter(bytes: number): Promise<() => void> {
    if (this.waiting.length === 0 && this.hasRoomFor(bytes)) this.held += bytes;
    else await new Promise<void>((enter) => this.waiting.push({ bytes, enter }));
    return () => {
      this.leave(bytes);
    };
  }

  private leave(bytes: number): void {
    this.held -= bytes;
    for (let next = this.waiting[0]; next && this.hasRoomFor(next.bytes); next = this.waiting[0]) {
      this.waiting.shift();
      this.held += next.bytes;
      next.enter();
    }
  }

  private hasRoomFor(bytes: number): boolean {
    return this.held === 0 || this.held + bytes <= this.maxBytes;
  }
}
