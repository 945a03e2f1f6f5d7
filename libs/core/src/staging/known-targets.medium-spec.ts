import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { inTransaction } from '#common/postgres/pool.js';
import { targetsOf } from './table-plan.js';
import { SHOP_PLAN, SHOP_TABLES, StagedJobs } from '#test/support/staged-job.js';
import { inspectForMerge } from './inspect-targets.js';
import { KnownTargets } from './known-targets.js';
import type { MergeFacts } from './target-facts.js';

const TABLES = `${SHOP_TABLES}
  CREATE SCHEMA elsewhere;
  CREATE TABLE elsewhere.region (code text PRIMARY KEY);
  CREATE FUNCTION public.tidy(t text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT t';
  CREATE COLLATION public.plain (provider = icu, locale = 'und');
  ALTER TABLE public.shop ADD note text;
  CREATE INDEX shop_tidy ON public.shop (public.tidy(note));
  CREATE INDEX shop_plain ON public.shop (note COLLATE public.plain);
  CREATE OPERATOR CLASS public.loose FOR TYPE text USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 bttextcmp(text, text);
  CREATE INDEX shop_loose ON public.shop (note public.loose);
  ALTER TABLE public.shop ADD region text CONSTRAINT of_region REFERENCES elsewhere.region`;
const NAMES = targetsOf(SHOP_PLAN);

describe('what is known of the targets', () => {
  let jobs: StagedJobs;
  let known: KnownTargets;
  let queries: number;

  beforeAll(async () => {
    jobs = await StagedJobs.start(TABLES);
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    known = new KnownTargets();
    await look();
  });

  /** @returns what is said, and in how many queries */
  const look = (): Promise<MergeFacts[]> =>
    inTransaction(jobs.pool, (client) => {
      queries = 0;
      return known.forMerge(
        {
          query: (sql, parameters) => {
            queries += 1;
            return client.query(sql, parameters);
          },
        },
        NAMES,
      );
    });
  const truth = (): Promise<MergeFacts[]> =>
    inTransaction(jobs.pool, (client) => inspectForMerge(client, NAMES));

  it('is said again after one query, as long as nothing has changed', async () => {
    await jobs.pool.query('ANALYZE public.shop');
    await jobs.pool.query('VACUUM public.sale');
    expect(await look()).toEqual(await truth());
    expect(queries).toBe(1);
  });

  it.each([
    ['a column comes', 'ALTER TABLE public.shop ADD more int', 'ALTER TABLE public.shop DROP more'],
    [
      'a column may be null no longer',
      'ALTER TABLE public.shop ALTER note SET NOT NULL',
      'ALTER TABLE public.shop ALTER note DROP NOT NULL',
    ],
    [
      'a column is renamed',
      'ALTER TABLE public.shop RENAME note TO remark',
      'ALTER TABLE public.shop RENAME remark TO note',
    ],
    [
      'a default draws from a sequence',
      `CREATE SEQUENCE public.drawn; ALTER TABLE public.shop ALTER note SET DEFAULT nextval('public.drawn')::text`,
      'DROP SEQUENCE public.drawn CASCADE',
    ],
    [
      'an index comes',
      'CREATE UNIQUE INDEX added ON public.sale (item) WHERE false',
      'DROP INDEX public.added',
    ],
    [
      'an index is renamed',
      'ALTER INDEX public.shop_tidy RENAME TO tidied',
      'ALTER INDEX public.tidied RENAME TO shop_tidy',
    ],
    [
      'a function of an index is renamed',
      'ALTER FUNCTION public.tidy RENAME TO neat',
      'ALTER FUNCTION public.neat RENAME TO tidy',
    ],
    [
      'a collation of an index is renamed',
      'ALTER COLLATION public.plain RENAME TO simple',
      'ALTER COLLATION public.simple RENAME TO plain',
    ],
    [
      'a foreign key is renamed',
      'ALTER TABLE public.shop RENAME CONSTRAINT of_region TO to_region',
      'ALTER TABLE public.shop RENAME CONSTRAINT to_region TO of_region',
    ],
    [
      'a table that is referred to is renamed',
      'ALTER TABLE elsewhere.region RENAME TO county',
      'ALTER TABLE elsewhere.county RENAME TO region',
    ],
    [
      'a column that is referred to is renamed',
      'ALTER TABLE elsewhere.region RENAME code TO number',
      'ALTER TABLE elsewhere.region RENAME number TO code',
    ],
    [
      'a schema that is referred to is renamed',
      'ALTER SCHEMA elsewhere RENAME TO far',
      'ALTER SCHEMA far RENAME TO elsewhere',
    ],
    [
      'an operator family says that equal is the same bytes',
      'ALTER OPERATOR FAMILY public.loose USING btree ADD FUNCTION 4 (text, text) btvarstrequalimage(oid)',
      'ALTER OPERATOR FAMILY public.loose USING btree DROP FUNCTION 4 (text, text)',
    ],
    [
      'a rule comes',
      'CREATE RULE silent AS ON UPDATE TO public.sale DO INSTEAD NOTHING',
      'DROP RULE silent ON public.sale',
    ],
    [
      'storage options change',
      'ALTER TABLE public.sale SET (fillfactor = 70)',
      'ALTER TABLE public.sale RESET (fillfactor)',
    ],
  ])('is read again when %s, and again when that is undone', async (_what, change, undo) => {
    const before = await truth();
    await jobs.pool.query(change);
    try {
      expect(await look()).toEqual(await truth());
      expect(await truth()).not.toEqual(before);
    } finally {
      await jobs.pool.query(undo);
    }
    expect(await look()).toEqual(await truth());
  });

  it('is read again when another table has taken the place of one', async () => {
    const [first] = await look();
    await jobs.pool.query(
      `ALTER TABLE public.sale RENAME TO old_sale; CREATE TABLE public.sale (LIKE public.old_sale INCLUDING ALL)`,
    );
    try {
      const facts = await look();
      expect(facts).toEqual(await truth());
      expect(facts[0]).toEqual(first);
    } finally {
      await jobs.pool.query('DROP TABLE public.sale; ALTER TABLE public.old_sale RENAME TO sale');
    }
  });

  it('is forgotten on request', async () => {
    known.forget();
    await look();
    expect(queries).toBeGreaterThan(1);
  });
});
