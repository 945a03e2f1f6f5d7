import { describe, expect, it } from '@jest/globals';
import { type Logger, pino } from 'pino';
import { eventually } from '#test/support/eventually.js';
import { BackgroundLoop } from './background-loop.js';

const NEVER_MS = 3_600_000;

function collecting(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const logger = pino(
    {},
    { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) },
  );
  return { logger, lines };
}

/** Turns that a test lets end one by one. */
class Turns {
  begun = 0;
  private ends: ((error?: Error) => void)[] = [];
  private waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly turn = (): Promise<void> => {
    this.begun += 1;
    for (const { resolve } of this.waiting.filter(({ count }) => count <= this.begun)) resolve();
    return new Promise((resolve, reject) => {
      this.ends.push((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  };

  end(error?: Error): void {
    this.ends.shift()?.(error);
  }

  async reach(count: number): Promise<void> {
    if (this.begun >= count) return;
    await new Promise<void>((resolve) => this.waiting.push({ count, resolve }));
  }
}

describe('background loop', () => {
  it('BL1: begins once, waits for the turn under way when it is stopped, and begins no other', async () => {
    const turns = new Turns();
    const { logger } = collecting();
    const loop = new BackgroundLoop({ duty: 'look', turn: turns.turn, pauseMs: () => 0, logger });
    loop.start();
    loop.start();
    await turns.reach(1);
    let isStopped = false;
    const reason = new Error('the service ends');
    const stopped = loop.stop(reason).then(() => {
      isStopped = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect({ isStopped, aborted: loop.signal.aborted, reason: loop.signal.reason as unknown }).toEqual({
      isStopped: false,
      aborted: true,
      reason,
    });
    turns.end();
    await stopped;
    expect(turns.begun).toBe(1);
  });

  it('BL1: stop ends the pause', async () => {
    const turns = new Turns();
    const { logger } = collecting();
    const loop = new BackgroundLoop({ duty: 'look', turn: turns.turn, pauseMs: () => NEVER_MS, logger });
    loop.start();
    await turns.reach(1);
    turns.end();
    await new Promise((resolve) => setImmediate(resolve));
    await loop.stop();
    expect(turns.begun).toBe(1);
  });

  it('BL2: retries a turn that fails, logs it once for each outage, and shows it until a turn succeeds', async () => {
    const turns = new Turns();
    const { logger, lines } = collecting();
    const loop = new BackgroundLoop({ duty: 'look for jobs', turn: turns.turn, pauseMs: () => 0, logger });
    loop.start();
    await turns.reach(1);
    expect(loop.notReady()).toEqual([]);
    turns.end(new Error('the database is away'));
    await turns.reach(2);
    expect(loop.notReady()).toEqual(['cannot look for jobs: the database is away']);
    turns.end(new Error('the database is still away'));
    await turns.reach(3);
    expect(loop.notReady()).toEqual(['cannot look for jobs: the database is still away']);
    turns.end();
    await turns.reach(4);
    expect(loop.notReady()).toEqual([]);
    turns.end(new Error('away again'));
    await turns.reach(5);
    expect(lines).toEqual(['cannot look for jobs; will retry', 'cannot look for jobs; will retry']);
    const stopped = loop.stop();
    turns.end();
    await stopped;
  });

  it('BL3: wake during a turn makes the next one follow at once', async () => {
    const turns = new Turns();
    const { logger } = collecting();
    const loop = new BackgroundLoop({ duty: 'look', turn: turns.turn, pauseMs: () => NEVER_MS, logger });
    loop.start();
    await turns.reach(1);
    loop.wake();
    turns.end();
    await turns.reach(2);
    const stopped = loop.stop();
    turns.end();
    await stopped;
  });

  it('is not live once a turn takes longer than it may', async () => {
    const turns = new Turns();
    const { logger } = collecting();
    const parts = { duty: 'look for jobs', turn: turns.turn, pauseMs: () => 0, logger };
    const [bounded, unbounded] = [
      new BackgroundLoop({ ...parts, maxSilenceMs: 0 }),
      new BackgroundLoop(parts),
    ];
    await eventually(() => bounded.notLive().length > 0, 'the turn to take longer');
    expect(bounded.notLive()).toEqual([
      expect.stringMatching(/^the attempt to look for jobs has not ended for \d+ ms$/),
    ]);
    expect(unbounded.notLive()).toEqual([]);
  });
});
