import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosDatabase } from './chaos-database.js';

const LOOK_EVERY_MS = 60;

/** Looks at both tables again and again, as their readers do: they may only ever see what was before, then what is after (G5). */
export class ReaderWatch {
  /** What was seen, each once in a row. */
  private readonly seen: string[] = [];
  private readonly stopping = new AbortController();
  private looks = 0;
  private readonly loop: Promise<void>;

  constructor(private readonly database: ChaosDatabase) {
    this.loop = this.watch();
  }

  /** @returns a sentence when anything else was seen than `before`, then perhaps `after` */
  async judge(before: string, after: string): Promise<string[]> {
    await this.stop();
    const allowed = before === after ? [before] : [before, after];
    const isRight = this.seen.every((each, index) => each === allowed[index]) || this.isOnly(after);
    const words = this.seen.map((each) => (each === before ? 'before' : each === after ? 'after' : each));
    return isRight ? [] : [`readers saw the tables as ${words.join(', then ')}`];
  }

  async stop(): Promise<number> {
    this.stopping.abort();
    await this.loop;
    return this.looks;
  }

  /** The first look may come late. */
  private isOnly(state: string): boolean {
    return this.seen.length === 1 && this.seen[0] === state;
  }

  private async watch(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const found = await this.database.fingerprint();
      if (found !== null) {
        this.looks += 1;
        if (found !== this.seen.at(-1)) this.seen.push(found);
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
