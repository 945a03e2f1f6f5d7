import { describe, expect, it } from '@jest/globals';
import { RetryBudget } from './retry-budget.js';

describe('RetryBudget', () => {
  const limits = { retries: 3, retryFactorMs: 1000, retryRenewalBytes: 100 };

  it('doubles the wait and ends after the allowed retries (RT1)', () => {
    const budget = new RetryBudget(limits);
    expect([0, 0, 0, 0].map((position) => budget.spend(position))).toEqual([1000, 2000, 4000, null]);
  });

  it('is whole again after enough progress, and only then (RT2)', () => {
    const budget = new RetryBudget(limits);
    expect([50, 99, 149].map((position) => budget.spend(position))).toEqual([1000, 2000, 4000]);
    expect(budget.spend(149)).toBeNull();
    expect([150, 249, 250].map((position) => budget.spend(position))).toEqual([1000, 2000, 1000]);
  });

  it('forgives nothing when no retries are allowed', () => {
    expect(new RetryBudget({ ...limits, retries: 0 }).spend(1000)).toBeNull();
  });
});
