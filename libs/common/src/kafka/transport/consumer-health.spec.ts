import { beforeEach, describe, expect, it } from '@jest/globals';
import { ConsumerHealth } from './consumer-health.js';

const MAX_SILENCE_MS = 1_000;

describe('what a consumer says about itself', () => {
  let now: number;
  let health: ConsumerHealth;

  beforeEach(() => {
    now = 0;
    health = new ConsumerHealth(MAX_SILENCE_MS, () => now);
    health.joined();
  });

  it('is live while a handler makes progress, and not when it has fallen silent', () => {
    const work = health.begin();
    now = MAX_SILENCE_MS;
    work.progress();
    now = 2 * MAX_SILENCE_MS;
    expect(health.notLive()).toEqual([]);
    expect(work.isSilent()).toBe(false);
    now += 1;
    expect(health.notLive()).toEqual(['a handler has made no progress']);
    expect(work.isSilent()).toBe(true);
    work.end();
    expect(health.notLive()).toEqual([]);
  });

  it('is live while a declared wait is tried again, however long that takes, and not ready', () => {
    for (; now < 100 * MAX_SILENCE_MS; now += 500) {
      health.waiting('topic/0', 'the database is away', 500);
      expect(health.notLive()).toEqual([]);
      expect(health.notReady()).toEqual(['topic/0 waits: the database is away']);
    }
    health.recovered('topic/0');
    expect(health.notReady()).toEqual([]);
  });

  it('says of a long wait when the next try comes', () => {
    health.waiting('brokers', 'the login is refused', 16_000);
    now = 500;
    expect(health.notReady()).toEqual(['brokers waits: the login is refused; next try in 16 s']);
    now = 16_001;
    expect(health.notReady()).toEqual(['brokers waits: the login is refused; next try in 0 s']);
  });

  it('is not live when a declared wait is not tried again', () => {
    health.waiting('topic/0', 'the database is away', 500);
    now = 500 + MAX_SILENCE_MS;
    expect(health.notLive()).toEqual([]);
    now += 1;
    expect(health.notLive()).toEqual(['topic/0 waits and is not tried again']);
  });

  it('is not live when nothing is fetched though nothing is in hand; an idle one fetches all the time', () => {
    now = 90_000;
    expect(health.notLive()).toEqual([]);
    now += 1;
    expect(health.notLive()).toEqual(['nothing has been fetched']);
    health.fetched();
    expect(health.notLive()).toEqual([]);
  });

  it('is not ready before it is a member of its group, nor after it has left', () => {
    health.left();
    expect(health.notReady()).toEqual(['not a member of the consumer group yet']);
    health.joined();
    expect(health.notReady()).toEqual([]);
  });

  it('waits no longer when it joins again: what failed may be another member’s now, or done by it', () => {
    health.waiting('topic/0', 'the database is away', 500);
    health.joined();
    expect(health.notReady()).toEqual([]);
    health.waiting('topic/0', 'the database is away', 500);
    expect(health.notReady()).toEqual(['topic/0 waits: the database is away']);
  });
});
