import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import { inspectTargets } from '#core/staging/inspect-targets.js';
import { STAGING_SCHEMA, quotedStagingTable, stagingTable } from '#core/staging/staging-names.js';
import type { TargetFacts } from '#core/staging/target-facts.js';
import { HAS_PSQL } from '#test/support/has-psql.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { Psql } from '../baselines/psql.js';
import { CleanText } from './clean-text.js';
import { copyGroups, copyWithPsql, withStaging } from './copying.js';
import { indexAsFinalizer, indexSerially, readTargets, withFinalizingJob } from './indexing.js';
import { inOwnDatabase } from './own-database.js';

/** Both ways of a stage end in the same place, or their ratio would mean nothing. */

/** More than one transaction of the loader takes. */
const ROWS = 25_000;
let server: TestDatabase;
let folder: string;
let text: CleanText;

beforeAll(async () => {
  server = await startTestDatabase();
  folder = mkdtempSync(join(tmpdir(), 'sluice-stages-'));
  text = CleanText.write(folder, ROWS);
});

afterAll(async () => {
  text.close();
  rmSync(folder, { recursive: true });
  await server.stop();
});

async function inDatabase(work: (pool: pg.Pool, psql: Psql) => Promise<void>): Promise<void> {
  await inOwnDatabase(server.url, 'bench_stages_test', async (url) => {
    const pool = createPool({ url, applicationName: 'test', maxConnections: 4 });
    try {
      await work(pool, new Psql(url, folder));
    } finally {
      await pool.end();
    }
  });
}

/** What stands in the staging tables, as one text. */
async function contentOf(pool: pg.Pool, job: string): Promise<string[]> {
  const texts: string[] = [];
  for (const { table, columns } of text.plan) {
    const place = quotedStagingTable(table, job);
    const list = ['_sluice_record', ...columns].map((name) => `"${name}"`).join(', ');
    const { rows } = await pool.query<{ count: string; hash: string }>(
      `SELECT count(*), md5(string_agg(row::text, E'\\n' ORDER BY row::text)) AS hash
       FROM (SELECT ROW(${list}) AS row FROM ${place}) AS rows`,
    );
    texts.push(`${table} ${rows[0]?.count ?? ''} ${rows[0]?.hash ?? ''}`);
  }
  return texts;
}

/** Indexes and foreign keys, without their names: staging has its own. */
function definitionsOf(tables: readonly TargetFacts[]): unknown {
  return tables.map(({ indexes, foreignKeys }) => ({
    indexes: indexes
      .map(({ unique, body, constraint }) => `${body} ${unique ? 'unique' : ''} ${constraint?.kind ?? ''}`)
      .sort(),
    foreignKeys: foreignKeys.map(({ columns, validated }) => ({ columns, validated })),
  }));
}

async function readStaged(pool: pg.Pool, job: string): Promise<TargetFacts[]> {
  const tables = text.plan.map(({ table }) => stagingTable(table, job));
  return inTransaction(pool, (client) => inspectTargets(client, { schema: STAGING_SCHEMA, tables }));
}

describe('COPY', () => {
  it('fills staging with all rows, on one connection and on two', async () => {
    await inDatabase(async (pool) => {
      const contents: string[][] = [];
      for (const connections of [1, 2]) {
        await withStaging(pool, text.plan, async (job) => {
          const amount = await copyGroups(pool, text, job, connections);
          expect(amount).toEqual({ rows: text.rows, bytes: text.bytes });
          contents.push(await contentOf(pool, job));
        });
      }
      expect(contents[0]?.[0]).toContain(`tax_registration ${ROWS} `);
      expect(contents[1]).toEqual(contents[0]);
    });
  });

  (HAS_PSQL ? it : it.skip)('by psql fills it with the same', async () => {
    await inDatabase(async (pool, psql) => {
      const expected = await withStaging(pool, text.plan, async (job) => {
        await copyGroups(pool, text, job, 2);
        return contentOf(pool, job);
      });
      await withStaging(pool, text.plan, async (job) => {
        await copyWithPsql(psql, text, job);
        expect(await contentOf(pool, job)).toEqual(expected);
      });
    });
  });

  it('leaves nothing behind', async () => {
    await inDatabase(async (pool) => {
      await withStaging(pool, text.plan, (job) => copyGroups(pool, text, job, 1));
      const { rows } = await pool.query(
        `SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace`,
        [STAGING_SCHEMA],
      );
      expect(rows).toEqual([]);
    });
  });
});

describe('indexes', () => {
  it('by the finalizer are those of the target, and no record has to be refused', async () => {
    await inDatabase(async (pool) => {
      const targets = await readTargets(pool, text.plan);
      await withStaging(pool, text.plan, async (job) => {
        await copyGroups(pool, text, job, 2);
        const { parts } = await withFinalizingJob(pool, job, () => indexAsFinalizer(pool, text, job));
        expect(Object.keys(parts ?? {})).toEqual(['inspect', 'index', 'constraints']);
        expect(definitionsOf(await readStaged(pool, job))).toEqual(definitionsOf(targets));
      });
    });
  });

  (HAS_PSQL ? it : it.skip)('one after the other are the same', async () => {
    await inDatabase(async (pool, psql) => {
      const targets = await readTargets(pool, text.plan);
      await withStaging(pool, text.plan, async (job) => {
        await copyGroups(pool, text, job, 2);
        await indexSerially(psql, text, targets, job);
        expect(definitionsOf(await readStaged(pool, job))).toEqual(definitionsOf(targets));
      });
    });
  });
});
