import { describe, expect, it } from '@jest/globals';
import { JudgingRoom } from './judging-room.js';

/** Lets everything that can go on do so. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the room for judged batches', () => {
  it('is passed by one batch at most, however many wait (RB2)', async () => {
    const room = new JudgingRoom(10);
    let held = 0;
    let highest = 0;
    let done = 0;
    const leaving: (() => void)[] = [];
    const work = async (): Promise<void> => {
      const judging = await room.enter();
      const leave = judging.judged(8);
      held += 8;
      highest = Math.max(highest, held);
      leaving.push(() => {
        held -= 8;
        done += 1;
        leave();
      });
    };
    const all = Promise.all(Array.from({ length: 9 }, work));
    while (done < 9) {
      await settled();
      expect(leaving.length).toBeGreaterThan(0);
      leaving.shift()?.();
    }
    await all;
    expect(highest).toBe(16);
  });

  it('lets the next one in when there was nothing to publish', async () => {
    const room = new JudgingRoom(1);
    (await room.enter()).left();
    (await room.enter()).judged(5)();
    await room.enter();
  });
});
