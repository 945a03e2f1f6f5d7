import { expect } from '@jest/globals';
import pg from 'pg';
import type { JobDetail } from '#api/jobs.js';
import type { BusinessRow, Expectation, IndustryRow } from './oracle.js';
import { lettersOf } from './run-job.js';
import type { System } from './system.js';

const BUSINESSES = `
  SELECT ban, headquarters_ban, business_name, business_address, capital_amount::text, business_setup_date,
    setup_date::text, business_type, is_use_invoice::text, data_source_date::text
  FROM public.tax_registration ORDER BY ban COLLATE "C"`;

const INDUSTRIES = `
  SELECT business_id, industry_code, industry_name, "order"::text
  FROM public.business_industry ORDER BY business_id COLLATE "C", "order"`;

/** Of systems on the run's server. Tests ask again and again until something is so, and a connection costs more than its question. */
const pools = new Map<string, pg.Pool>();

export async function query<R extends pg.QueryResultRow>(
  system: System,
  sql: string,
  values: unknown[] = [],
): Promise<R[]> {
  // A PostgreSQL that a test kills takes pooled connections with it.
  if (!system.has('postgres')) return (await poolOf(system.databaseUrl).query<R>(sql, values)).rows;
  const client = new pg.Client({ connectionString: system.databaseUrl });
  await client.connect();
  try {
    return (await client.query<R>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

function poolOf(url: string): pg.Pool {
  const known = pools.get(url);
  if (known !== undefined) return known;
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    idleTimeoutMillis: 5_000,
    allowExitOnIdle: true,
  });
  // The database goes with its system.
  pool.on('error', () => undefined);
  pools.set(url, pool);
  return pool;
}

/** Every row of both tables is what the oracle says, and there is no other. */
export async function expectTables(
  system: System,
  expected: Pick<Expectation, 'businesses' | 'industries'>,
): Promise<void> {
  const byCode = <T>([a]: [string, T], [b]: [string, T]): number => (a < b ? -1 : 1);
  const businesses = [...expected.businesses].sort(byCode).map(([, row]) => row);
  const industries = [...expected.industries].sort(byCode).flatMap(([, rows]) => rows);
  expectSame(await query<BusinessRow>(system, BUSINESSES), businesses);
  expectSame(await query<IndustryRow>(system, INDUSTRIES), industries);
}

/** Jest's own comparison of 50,000 objects takes a minute; it is asked only about what differs. */
function expectSame<T extends object>(found: readonly T[], wanted: readonly T[]): void {
  const text = (row: T | undefined): string => JSON.stringify(row, Object.keys(row ?? {}).sort());
  const at = wanted.findIndex((row, index) => text(found[index]) !== text(row));
  if (at >= 0) expect(found[at]).toEqual(wanted[at]);
  expect(found).toHaveLength(wanted.length);
}

/** Every refused record has one dead letter, with its line, stage and codes; and all sums of the job are right. */
export async function expectReport(system: System, job: JobDetail, expected: Expectation): Promise<void> {
  expect(job).toMatchObject({ state: 'succeeded', error: null });
  expect(job.counts).toMatchObject({ ...expected.counts, superseded: 0 });
  expect(job.findings).toEqual(expected.findings);
  const letters = (await lettersOf(system, job.id)).map(({ record, line, stage, findings }) => ({
    record,
    line,
    stage,
    codes: findings.map(({ code }) => code).sort(),
  }));
  const wanted = [...expected.refused.values()].map(({ record, line, stage, codes }) => ({
    record,
    line,
    stage,
    codes: [...codes],
  }));
  expectSame(
    letters.sort((a, b) => a.record - b.record),
    wanted.sort((a, b) => a.record - b.record),
  );
}
