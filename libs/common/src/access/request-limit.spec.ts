import { describe, expect, it } from '@jest/globals';
import { RequestLimit } from './request-limit.js';

describe('requests by holder', () => {
  it('pass up to the limit at once, and then as evenly as it says', () => {
    let now = 0;
    const limit = new RequestLimit(60, () => now);
    for (let n = 0; n < 60; n += 1) expect(limit.waitFor('ci')).toBe(0);
    expect(limit.waitFor('ci')).toBe(1);
    expect(limit.waitFor('grafana')).toBe(0);
    now = 999;
    expect(limit.waitFor('ci')).toBe(1);
    now = 1_000;
    expect(limit.waitFor('ci')).toBe(0);
    expect(limit.waitFor('ci')).toBe(1);
    now = 3_600_000;
    for (let n = 0; n < 60; n += 1) expect(limit.waitFor('ci')).toBe(0);
    expect(limit.waitFor('ci')).toBe(1);
  });

  it('name the seconds of a low limit, and asking in vain does not make them more', () => {
    let now = 0;
    const limit = new RequestLimit(2, () => now);
    expect([limit.waitFor('ci'), limit.waitFor('ci'), limit.waitFor('ci')]).toEqual([0, 0, 30]);
    for (now = 0; now < 29_500; now += 100) limit.waitFor('ci');
    expect(limit.waitFor('ci')).toBe(1);
    now = 30_001;
    expect(limit.waitFor('ci')).toBe(0);
  });

  it('of more than ten thousand holders the first is forgotten', () => {
    const limit = new RequestLimit(1, () => 0);
    for (let n = 0; n < 10_000; n += 1) limit.waitFor(String(n));
    expect(limit.waitFor('0')).toBe(60);
    limit.waitFor('one more');
    expect(limit.waitFor('0')).toBe(0);
  });
});
