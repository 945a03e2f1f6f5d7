import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '#test/support/eventually.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { DatabaseHealth } from './database-health.js';
import { createPool } from './pool.js';

describe('readiness', () => {
  let server: TestDatabase;

  beforeAll(async () => {
    server = await startTestDatabase();
  });
  afterAll(() => server.stop());

  it.each([
    ['is given by a database that can be written to', '', []],
    [
      'is not given by one that is read-only, and says so',
      '-c default_transaction_read_only=on',
      ['read-only'],
    ],
  ])('%s', async (_, options, words) => {
    const url = new URL(server.url);
    url.searchParams.set('options', options);
    const pool = createPool({ url: url.href, applicationName: 'test', maxConnections: 1 });
    const health = new DatabaseHealth(pool);
    await eventually(() => !health.notReady().join().includes('not been asked'), 'an answer');
    const problems = words.map((word) => expect.stringContaining(word) as unknown);
    expect(health.notReady()).toEqual(problems);
    expect(health.notLive()).toEqual([]);
    health.stop();
    await pool.end();
  });
});
