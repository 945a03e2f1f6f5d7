/** A wait that can be cut short, by a call that may come before it. */
export class Wakeup {
  private woken = false;
  private resume: (() => void) | undefined;

  /** Ends the present wait, or the next one before it begins. */
  wake(): void {
    this.woken = true;
    this.resume?.();
  }

  async wait(ms: number): Promise<void> {
    if (!this.woken) await this.pause(ms);
    this.woken = false;
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.resume = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
