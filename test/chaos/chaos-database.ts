import pg from 'pg';
import type { JobCounts, JobError } from '#api/job-facts.js';
import type { JobState } from '#api/job-words.js';
import type { Checkpoint } from '#core/job/job.entity.js';
import type { BusinessRow, IndustryRow } from '../support/oracle.js';

/** What the ledger and the job row say of a job now. */
export interface JobNow {
  readonly id: string;
  readonly state: JobState;
  readonly owner: string | null;
  readonly checkpoint: Checkpoint | null;
  readonly total_batches: string | null;
  readonly counts: JobCounts | null;
  readonly error: JobError | null;
  readonly problem: unknown;
  readonly announced: boolean;
  readonly loaded_batches: number;
  readonly loaded_records: number;
  readonly unannounced_batches: number;
  readonly known_letters: number;
  readonly staging_relations: number;
}

const JOB_NOW = `
  SELECT id, state, owner, checkpoint, total_batches, counts, error, problem, announced,
    (SELECT count(*)::int FROM sluice.ledger WHERE job = job.id) AS loaded_batches,
    (SELECT coalesce(sum(records), 0)::int FROM sluice.ledger WHERE job = job.id) AS loaded_records,
    (SELECT count(*)::int FROM sluice.ledger WHERE job = job.id AND NOT refusals_announced) AS unannounced_batches,
    (SELECT count(*)::int FROM sluice.dead_letter WHERE job = job.id) AS known_letters,
    (SELECT count(*)::int FROM pg_class WHERE relnamespace = 'sluice_staging'::regnamespace) AS staging_relations
  FROM sluice.job AS job WHERE id = $1`;

const BUSINESSES = `
  SELECT ban, headquarters_ban, business_name, business_address, capital_amount::text, business_setup_date,
    setup_date::text, business_type, is_use_invoice::text, data_source_date::text FROM public.tax_registration`;

const INDUSTRIES = `
  SELECT business_id, industry_code, industry_name, "order"::text FROM public.business_industry`;

/** Both tables in one statement, so in one snapshot: how many rows, and a sum over their contents. */
const FINGERPRINT = `
  SELECT concat_ws('/',
    (SELECT concat_ws(':', count(*), sum(hashtextextended(concat_ws('|', ban, business_name, capital_amount), 0)))
     FROM public.tax_registration),
    (SELECT concat_ws(':', count(*), sum(hashtextextended(concat_ws('|', business_id, industry_code), 0)))
     FROM public.business_industry)) AS fingerprint`;

/** The database as a process beside Sluice sees it; may be away at any time. */
export class ChaosDatabase {
  private readonly pool: pg.Pool;

  constructor(url: string) {
    this.pool = new pg.Pool({
      connectionString: url,
      application_name: 'chaos',
      max: 4,
      connectionTimeoutMillis: 5_000,
    });
    this.pool.on('error', () => undefined);
    this.pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** @throws the database's error, also when it is away */
  async rows<R extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<R[]> {
    return (await this.pool.query<R>(sql, values)).rows;
  }

  /** Null while the database is away. */
  async rowsOrNull<R extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<R[] | null> {
    return this.rows<R>(sql, values).catch(() => null);
  }

  async job(id: string): Promise<JobNow | null> {
    return (await this.rowsOrNull<JobNow>(JOB_NOW, [id]))?.[0] ?? null;
  }

  /** Null while the database is away. */
  async fingerprint(): Promise<string | null> {
    return (await this.rowsOrNull<{ fingerprint: string }>(FINGERPRINT))?.[0]?.fingerprint ?? null;
  }

  async businesses(): Promise<BusinessRow[]> {
    return this.rows<BusinessRow & pg.QueryResultRow>(BUSINESSES);
  }

  async industries(): Promise<IndustryRow[]> {
    return this.rows<IndustryRow & pg.QueryResultRow>(INDUSTRIES);
  }

  async close(): Promise<void> {
    await this.pool.end();
  }
}
