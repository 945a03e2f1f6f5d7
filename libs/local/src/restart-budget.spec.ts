import { describe, expect, it } from '@jest/globals';
import { RestartBudget } from './restart-budget.js';

describe('RestartBudget', () => {
  it('waits longer each time, and gives up at the sixth end within a minute', () => {
    const budget = new RestartBudget();
    expect([0, 1, 2, 3, 4, 5].map((second) => budget.next(second * 1_000))).toEqual([
      500,
      1_000,
      2_000,
      4_000,
      8_000,
      null,
    ]);
  });

  it('forgets what is older than a minute', () => {
    const budget = new RestartBudget();
    for (const at of [0, 1, 2, 3, 4]) budget.next(at);
    expect(budget.next(60_000 + 4)).toBe(500);
  });
});
