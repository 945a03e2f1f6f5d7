import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { migrate } from '#core/schema/migrate.js';
import { finalizeJob } from '../../../../test/support/finalizing.js';
import { OLDEST_POSTGRES, type TestServer, startPostgresServer } from '../../../../test/support/postgres.js';
import { type Shop, StagedJobs } from '../../../../test/support/staged-job.js';

/** What depends on the server: catalogs, settings, statements. All other specs run on the newest version. */
describe('PostgreSQL 15, the oldest that is supported', () => {
  const before = process.env.TEST_DATABASE_URL;
  let server: TestServer;
  let jobs: StagedJobs;

  beforeAll(async () => {
    server = await startPostgresServer(OLDEST_POSTGRES);
    process.env.TEST_DATABASE_URL = server.url;
    jobs = await StagedJobs.start();
  });
  afterAll(async () => {
    await jobs.stop();
    if (before === undefined) delete process.env.TEST_DATABASE_URL;
    else process.env.TEST_DATABASE_URL = before;
    await server.stop();
  });
  beforeEach(() => jobs.reset());

  const shop = (number: string, name: string, ...items: string[]): Shop => ({ number, name, items });

  it('is what runs here, and migrates', async () => {
    const { rows } = await jobs.pool.query<{ server_version: string }>('SHOW server_version');
    expect(rows[0]?.server_version).toMatch(/^15\./);
    expect(await migrate(jobs.url, [])).toEqual([]);
  });

  it.each([
    ['replace', ['1 a x', '2 b y']],
    ['append', ['1 old x', '2 b y', '9 old']],
    ['upsert', ['1 new x', '2 b y', '9 old']],
  ] as const)('%s: loads, settles repeats and orphans, and makes it visible', async (mode, shops) => {
    await jobs.pool.query(
      `INSERT INTO public.shop (number, name) VALUES ('1', 'old'), ('9', 'old');
       INSERT INTO public.sale (shop_number, item) VALUES ('1', 'x')`,
    );
    await jobs.loaded(
      [
        [shop('1', 'a', 'x'), shop('2', 'b', 'y')],
        mode === 'replace'
          ? [shop('1', 'again', 'z'), { ...shop('3', 'c', 'q'), itemsOf: '77' }]
          : [shop('1', 'new', 'x')],
      ],
      { mode, maxRefusedShare: 1 },
    );
    await finalizeJob(jobs);
    expect(await jobs.shops()).toEqual(shops);
  });
});
