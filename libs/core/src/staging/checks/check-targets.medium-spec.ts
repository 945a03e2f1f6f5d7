import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import { SHOP_PLAN, SHOP_TABLES, StagedJobs, deletesOf } from '#test/support/staged-job.js';
import type { WriteMode } from '../../dataset/dataset.js';
import { createStaging } from '../staging-tables.js';
import { noteServiceRole } from './service-role.js';

const JOB = '0199d1a2-7b3c-7def-8123-456789abcdef';
const MODES = ['replace', 'append', 'upsert'] as const;
const LOADER = 'sluice_test_checks_loader';
const GROUP = 'sluice_test_checks_owner';

const TABLES = `${SHOP_TABLES}
  CREATE SCHEMA reports;
  CREATE TABLE public.region (code text PRIMARY KEY);
  ALTER TABLE public.shop ADD region text REFERENCES public.region, ADD serial_no serial;
  CREATE VIEW reports.names AS SELECT name FROM public.shop;
  CREATE FUNCTION public.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE FUNCTION public.tidy(t text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT t';
  CREATE TRIGGER kept BEFORE UPDATE ON public.shop FOR EACH ROW EXECUTE FUNCTION public.noop();`;

describe('what would stop a job at its end', () => {
  let jobs: StagedJobs;
  let loader: pg.Pool;
  let database: string;

  beforeAll(async () => {
    jobs = await StagedJobs.start(TABLES);
    const url = new URL(jobs.url);
    database = url.pathname.slice(1);
    url.username = LOADER;
    url.password = 'secret';
    loader = createPool({ url: url.href, applicationName: 'sluice loader host:1', maxConnections: 1 });
    // One role for everything, whose tables belong to a group.
    await jobs.pool.query(`
      CREATE ROLE ${LOADER} LOGIN PASSWORD 'secret';
      CREATE ROLE ${GROUP};
      GRANT ${GROUP} TO ${LOADER};
      REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC;
      REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
      GRANT TEMPORARY ON DATABASE ${database} TO ${LOADER};
      GRANT USAGE ON SCHEMA sluice TO ${LOADER};
      GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA sluice TO ${LOADER};
      GRANT USAGE, CREATE ON SCHEMA public, reports, sluice_staging TO ${LOADER};
      GRANT CREATE ON SCHEMA public TO ${GROUP};
      ALTER TABLE public.shop OWNER TO ${GROUP};
      ALTER TABLE public.sale OWNER TO ${GROUP};
      ALTER VIEW reports.names OWNER TO ${LOADER};
      GRANT SELECT, REFERENCES ON public.region TO ${LOADER};
      GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO ${LOADER}`);
  });

  afterAll(async () => {
    await loader.end();
    await jobs.pool.query(
      `DROP OWNED BY ${LOADER}, ${GROUP} CASCADE; DROP ROLE ${LOADER}; DROP ROLE ${GROUP}`,
    );
    await jobs.stop();
  });

  beforeEach(() => jobs.pool.query('DELETE FROM sluice.service_role'));

  const start = (mode: WriteMode, pool = loader): Promise<void> =>
    inTransaction(pool, async (client) => {
      await createStaging(client, SHOP_PLAN, { id: JOB, mode });
      throw new Error('nothing stands in the way');
    });

  it.each(MODES)('is nothing of an ordinary role’s with the documented rights: %s', async (mode) => {
    await expect(start(mode)).rejects.toThrow('nothing stands in the way');
  });

  describe.each<
    [what: string, make: string, undo: string, modes: readonly WriteMode[], code: string, words: string]
  >([
    [
      'a NOT NULL column that nothing fills',
      'ALTER TABLE public.shop ADD tenant int NOT NULL',
      'ALTER TABLE public.shop DROP tenant',
      MODES,
      'TARGET_DOES_NOT_FIT',
      'column tenant of public.shop is NOT NULL, has no default',
    ],
    [
      'a default that was dropped',
      'ALTER TABLE public.sale ADD at timestamptz NOT NULL DEFAULT now(); ALTER TABLE public.sale ALTER at DROP DEFAULT',
      'ALTER TABLE public.sale DROP at',
      MODES,
      'TARGET_DOES_NOT_FIT',
      'column at of public.sale is NOT NULL, has no default',
    ],
    [
      'a column of a domain that must not be null',
      'CREATE DOMAIN public.sure AS int NOT NULL; ALTER TABLE public.shop ADD sure public.sure DEFAULT 1; ALTER TABLE public.shop ALTER sure DROP DEFAULT',
      'DROP DOMAIN public.sure CASCADE',
      MODES,
      'TARGET_DOES_NOT_FIT',
      'column sure of public.shop',
    ],
    [
      'a publication of all tables',
      'CREATE PUBLICATION dbz FOR ALL TABLES',
      'DROP PUBLICATION dbz',
      ['append', 'upsert'],
      'TARGET_PUBLISHED',
      'publication dbz is FOR ALL TABLES',
    ],
    [
      'a publication of the staging schema',
      'CREATE PUBLICATION dbz FOR TABLES IN SCHEMA sluice_staging',
      'DROP PUBLICATION dbz',
      MODES,
      'TARGET_PUBLISHED',
      'publication dbz is FOR TABLES IN SCHEMA sluice_staging',
    ],
    [
      'a trigger that fills a column',
      'CREATE TRIGGER slug BEFORE INSERT ON public.shop FOR EACH ROW EXECUTE FUNCTION public.noop()',
      'DROP TRIGGER slug ON public.shop',
      ['replace'],
      'TARGET_HAS_TRIGGERS',
      'trigger slug of public.shop fires on INSERT: load with append or upsert, or ALTER TABLE public.shop DISABLE TRIGGER slug',
    ],
    [
      'a statement’s trigger on what goes, also for replicas',
      `CREATE TRIGGER gone AFTER DELETE OR TRUNCATE ON public.sale FOR EACH STATEMENT EXECUTE FUNCTION public.noop();
       ALTER TABLE public.sale ENABLE ALWAYS TRIGGER gone`,
      'DROP TRIGGER gone ON public.sale',
      ['replace'],
      'TARGET_HAS_TRIGGERS',
      'trigger gone of public.sale fires on DELETE, TRUNCATE',
    ],
    [
      'no TEMPORARY on the database',
      `REVOKE TEMPORARY ON DATABASE current FROM ${LOADER}`,
      `GRANT TEMPORARY ON DATABASE current TO ${LOADER}`,
      MODES,
      'TARGET_FORBIDDEN',
      'GRANT TEMPORARY ON DATABASE',
    ],
    [
      'no CREATE on the staging schema',
      `REVOKE CREATE ON SCHEMA sluice_staging FROM ${LOADER}`,
      `GRANT CREATE ON SCHEMA sluice_staging TO ${LOADER}`,
      MODES,
      'TARGET_FORBIDDEN',
      `GRANT USAGE, CREATE ON SCHEMA sluice_staging TO ${LOADER}`,
    ],
    [
      'no CREATE on the schema of a view',
      `REVOKE CREATE ON SCHEMA reports FROM ${LOADER}`,
      `GRANT CREATE ON SCHEMA reports TO ${LOADER}`,
      ['replace'],
      'TARGET_FORBIDDEN',
      `GRANT USAGE, CREATE ON SCHEMA reports TO ${LOADER}, for the view reports.names`,
    ],
    [
      'no REFERENCES on the parent of a foreign key',
      `REVOKE REFERENCES ON public.region FROM ${LOADER}`,
      `GRANT REFERENCES ON public.region TO ${LOADER}`,
      ['replace'],
      'TARGET_FORBIDDEN',
      `GRANT REFERENCES ON public.region TO ${LOADER}`,
    ],
    [
      'no SELECT on the parent of a foreign key',
      `REVOKE SELECT ON public.region FROM ${LOADER}`,
      `GRANT SELECT ON public.region TO ${LOADER}`,
      MODES,
      'TARGET_FORBIDDEN',
      `GRANT SELECT ON public.region TO ${LOADER}`,
    ],
    [
      'no EXECUTE on the function of a trigger that is kept',
      `REVOKE EXECUTE ON FUNCTION public.noop() FROM ${LOADER}`,
      `GRANT EXECUTE ON FUNCTION public.noop() TO ${LOADER}`,
      ['replace'],
      'TARGET_FORBIDDEN',
      `GRANT EXECUTE ON FUNCTION public.noop() TO ${LOADER}`,
    ],
    [
      'no EXECUTE on the function of an index',
      `CREATE INDEX tidied ON public.shop (public.tidy(name)); REVOKE EXECUTE ON FUNCTION public.tidy(text) FROM ${LOADER}`,
      `DROP INDEX public.tidied; GRANT EXECUTE ON FUNCTION public.tidy(text) TO ${LOADER}`,
      MODES,
      'TARGET_FORBIDDEN',
      `GRANT EXECUTE ON FUNCTION public.tidy(text) TO ${LOADER}`,
    ],
    [
      'no USAGE on the sequence of a default',
      `CREATE SEQUENCE public.tickets; ALTER TABLE public.shop ADD ticket int DEFAULT nextval('public.tickets')`,
      'ALTER TABLE public.shop DROP ticket; DROP SEQUENCE public.tickets',
      MODES,
      'TARGET_FORBIDDEN',
      `GRANT USAGE ON SEQUENCE public.tickets TO ${LOADER}`,
    ],
    [
      'an owner that may not own tables in public',
      `REVOKE CREATE ON SCHEMA public FROM ${GROUP}`,
      `GRANT CREATE ON SCHEMA public TO ${GROUP}`,
      ['replace'],
      'TARGET_FORBIDDEN',
      `GRANT CREATE ON SCHEMA public TO ${GROUP}, who owns public.shop`,
    ],
    [
      'forced row security',
      'ALTER TABLE public.shop ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
      'ALTER TABLE public.shop DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY',
      MODES,
      'TARGET_FORBIDDEN',
      'because public.shop has row security',
    ],
  ])('%s', (_, make, undo, modes, code, words) => {
    it(`is said before the first record, and no record is blamed: ${modes.join(', ')} (${code})`, async () => {
      await jobs.pool.query(make.replace('DATABASE current', `DATABASE ${database}`));
      try {
        for (const mode of MODES) {
          const refused = modes.includes(mode);
          await expect(start(mode)).rejects.toMatchObject(
            refused
              ? { code, message: expect.stringContaining(words) }
              : code === 'TARGET_PUBLISHED'
                ? { code: 'TARGET_CANNOT_BE_SWAPPED' }
                : { message: 'nothing stands in the way' },
          );
        }
      } finally {
        await jobs.pool.query(undo.replace('DATABASE current', `DATABASE ${database}`));
      }
    });
  });

  it('is no right to delete rows of the main table, of a dataset with deletes in mode upsert alone', async () => {
    await jobs.pool.query(`REVOKE DELETE ON public.shop FROM ${GROUP}`);
    const starting = (mode: WriteMode): Promise<void> =>
      inTransaction(loader, async (client) => {
        await createStaging(client, SHOP_PLAN, { id: JOB, mode }, undefined, deletesOf(SHOP_PLAN));
        throw new Error('nothing stands in the way');
      });
    try {
      await expect(start('upsert')).rejects.toThrow('nothing stands in the way');
      await expect(starting('append')).rejects.toThrow('nothing stands in the way');
      await expect(starting('upsert')).rejects.toMatchObject({
        code: 'TARGET_FORBIDDEN',
        message: expect.stringContaining(`GRANT DELETE ON public.shop TO ${LOADER}`),
      });
    } finally {
      await jobs.pool.query(`GRANT DELETE ON public.shop TO ${GROUP}`);
    }
  });

  it('is checked with the rights of the loader’s role, not of the one that starts the job', async () => {
    await noteServiceRole(loader, 'loader');
    await jobs.pool.query(`REVOKE REFERENCES ON public.region FROM ${LOADER}`);
    try {
      await expect(start('replace', jobs.pool)).rejects.toMatchObject({
        code: 'TARGET_FORBIDDEN',
        message: expect.stringMatching(new RegExp(`GRANT \\w+ TO ${LOADER}.*REFERENCES`)),
      });
    } finally {
      await jobs.pool.query(`GRANT REFERENCES ON public.region TO ${LOADER}`);
    }
  });
});
