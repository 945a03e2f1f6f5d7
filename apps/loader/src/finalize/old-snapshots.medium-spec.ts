import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createPool } from '#common/postgres/pool.js';
import { eventually } from '#test/support/eventually.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { oldSnapshots, presentHorizon } from './old-snapshots.js';

const LOADER = 'sluice_test_snapshots_loader';
const REPORTER = 'sluice_test_snapshots_reporter';

describe('old snapshots, seen by an ordinary role', () => {
  let server: TestDatabase;
  let admin: pg.Client;
  let pool: pg.Pool;

  const urlOf = (role: string): string => {
    const url = new URL(server.url);
    url.username = role;
    url.password = 'secret';
    return url.href;
  };

  /** A session with a snapshot that is older than something committed since. */
  async function reporting(role: string, name: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: urlOf(role), application_name: name });
    await client.connect();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    await admin.query('UPDATE tick SET n = n + 1');
    return client;
  }

  beforeAll(async () => {
    server = await startTestDatabase();
    admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query('CREATE TABLE tick (n int); INSERT INTO tick VALUES (0)');
    for (const role of [LOADER, REPORTER]) {
      await admin.query(`DROP ROLE IF EXISTS ${role}; CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    }
    pool = createPool({ url: urlOf(LOADER), applicationName: 'sluice loader host:1', maxConnections: 2 });
  });

  afterAll(async () => {
    await pool.end();
    await admin.query(`DROP ROLE ${LOADER}, ${REPORTER}`);
    await admin.end();
    await server.stop();
  });

  it.each([
    ['another role’s, of which it sees no state (OS1)', REPORTER, 'psql'],
    ['another role’s that bears a name of ours (OS3)', REPORTER, 'sluice loader host:2'],
    ['its own role’s that is called like ours (OS3)', LOADER, 'sluice-report'],
    ['its own role’s that is called more like ours (OS3)', LOADER, 'sluice loader report'],
  ])('are those of %s', async (_, role, name) => {
    const reader = await reporting(role, name);
    try {
      const horizon = await presentHorizon(pool);
      expect(await oldSnapshots(pool, horizon)).toEqual([
        expect.objectContaining({ usename: role, application_name: name }),
      ]);
      await reader.query('COMMIT');
      expect(await oldSnapshots(pool, horizon)).toEqual([]);
    } finally {
      await reader.end();
    }
  });

  it('are not those of Sluice itself (OS3)', async () => {
    const names = [
      'sluice tracker host:77',
      `sluice-finalize:${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}:3`,
    ];
    const own = await Promise.all(names.map((name) => reporting(LOADER, name)));
    expect(await oldSnapshots(pool, await presentHorizon(pool))).toEqual([]);
    await Promise.all(own.map((client) => client.end()));
  });

  it('are not those that see everything which was committed when the wait began (OS1)', async () => {
    // A transaction of another database that is under way then makes a later snapshot look older than it is.
    await eventually(async () => {
      const horizon = await presentHorizon(pool);
      const reader = await reporting(REPORTER, 'later');
      try {
        return (await oldSnapshots(pool, horizon)).length === 0;
      } finally {
        await reader.end();
      }
    }, 'a later snapshot that does not count');
  });

  it('are compared in 64 bits: a cluster may have used more than 2^32 transactions (OS4)', async () => {
    const reader = await reporting(REPORTER, 'psql');
    const horizon = await presentHorizon(pool);
    expect(await oldSnapshots(pool, { ...horizon, xid: 2n ** 32n + 5n })).toHaveLength(1);
    expect(await oldSnapshots(pool, { ...horizon, xid: 1n })).toEqual([]);
    await reader.end();
  });
});
