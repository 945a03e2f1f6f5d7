import { describe, expect, it } from '@jest/globals';
import { InFlightLimit } from './in-flight-limit.js';

/** Lets everything continue that can. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('InFlightLimit', () => {
  it('is exceeded by one batch at most, however many wait (RB2)', async () => {
    const limit = new InFlightLimit(10);
    let held = 0;
    let highest = 0;
    let done = 0;
    const publications: (() => void)[] = [];
    const work = async (): Promise<void> => {
      const admission = await limit.admit();
      const published = admission.judged(8);
      held += 8;
      highest = Math.max(highest, held);
      publications.push(() => {
        held -= 8;
        done += 1;
        published();
      });
    };
    const all = Promise.all(Array.from({ length: 9 }, work));
    while (done < 9) {
      await settled();
      expect(publications.length).toBeGreaterThan(0);
      publications.shift()?.();
    }
    await all;
    expect(highest).toBe(16);
  });

  it('lets the next one in when there was nothing to publish', async () => {
    const limit = new InFlightLimit(1);
    (await limit.admit()).released();
    (await limit.admit()).judged(5)();
    await limit.admit();
  });

  it('says how many wait', async () => {
    const limit = new InFlightLimit(1);
    const first = await limit.admit();
    const second = limit.admit();
    expect(limit.waitingCount).toBe(1);
    first.released();
    await second;
    expect(limit.waitingCount).toBe(0);
  });
});
