import pg from 'pg';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { createStaging } from '#core/staging/staging-tables.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import type { MergeAtOnce } from '../../apps/loader/src/finalize/merge-at-once.js';
import { GroupLoader } from '../../apps/loader/src/load/group-loader.js';
import { loaderPlan, stagingTargets } from '../../apps/loader/src/load/staging-targets.js';
import { type TestDatabase, startMigratedDatabase } from './postgres.js';

/** Things and their parts. */
export const THING_PLAN: TablePlan[] = [
  {
    schema: 'public',
    table: 'thing',
    columns: ['code', 'amount'],
    key: ['code'],
    version: null,
    sources: {},
    parent: null,
  },
  {
    schema: 'public',
    table: 'part',
    columns: ['thing_code', 'name'],
    key: [],
    version: null,
    sources: {},
    parent: { table: 'thing', columns: { thing_code: 'code' } },
  },
];

/** One running job after the other, and a loader for their batches, on real PostgreSQL. */
export class LoadingHarness {
  /** The job of the present test. */
  job = '';
  /** The staging tables that were COPYed into, COPY by COPY. */
  readonly copies: string[] = [];
  /** Groups that were committed. */
  commits = 0;
  /** How often the loader has looked which session is in the way, and had an answer. */
  looks = 0;
  readonly loader: GroupLoader;

  private constructor(
    private readonly server: TestDatabase,
    readonly pool: pg.Pool,
  ) {
    pool.on('connect', (client) => {
      countCopies(client, (table) => this.copies.push(table));
    });
    const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    pool.query = (async (...args: unknown[]) => {
      const answer = await query(...args);
      if (typeof args[0] === 'string' && args[0].includes('pg_blocking_pids')) this.looks += 1;
      return answer;
    }) as typeof pool.query;
    this.loader = this.loaderWith(1_000);
  }

  static async start(): Promise<LoadingHarness> {
    const server = await startMigratedDatabase();
    const pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 4 });
    const harness = new LoadingHarness(server, pool);
    await pool.query(`
      CREATE SEQUENCE public.tries;
      CREATE FUNCTION public.passes(code text) RETURNS boolean LANGUAGE sql
        AS $$ SELECT code <> 'every other time' OR nextval('public.tries') % 2 = 0 $$;
      CREATE TABLE public.thing (
        code text PRIMARY KEY CHECK (public.passes(code)),
        amount int NOT NULL CHECK (amount < 1000)
      );
      CREATE TABLE public.part (thing_code text NOT NULL REFERENCES public.thing, name varchar(5) NOT NULL)`);
    return harness;
  }

  get url(): string {
    return this.server.url;
  }

  async stop(): Promise<void> {
    await this.pool.end();
    await this.server.stop();
  }

  /** A new job, which is the only one. @param totals batches of a job whose source is read; each has two records */
  async begin(mode: WriteMode = 'replace', totals: number | null = null): Promise<void> {
    this.job = uuidv7();
    await this.pool.query('TRUNCATE sluice.job CASCADE');
    await this.pool.query(
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version, epoch,
         total_batches, total_records, total_bytes)
       VALUES ($1, 'things', $2, 'running', '{}', '', false, 0.05, '{}', 1, 1, $3::bigint, $3::bigint * 2, $3::bigint * 10)`,
      [this.job, mode, totals],
    );
    await inTransaction(this.pool, (client) => createStaging(client, THING_PLAN, { id: this.job, mode }));
  }

  /** A batch of two things, each with a part, unless an option says otherwise. */
  batch(number: number, rows: { thing?: string; part?: string } = {}): CleanMessage {
    const first = number * 2;
    const thing = rows.thing ?? `${first}\tt${first}\t1\n${first + 1}\tt${first + 1}\t2\n`;
    const part = rows.part ?? `${first}\tt${first}\ta\n${first + 1}\tt${first + 1}\tb\n`;
    return {
      dataset: 'things',
      job: this.job,
      epoch: 1,
      batch: number,
      firstRecord: first,
      firstLine: first + 2,
      byteStart: number * 10,
      byteEnd: number * 10 + 10,
      crc32c: 1,
      raw: { topic: 'sluice.things.raw', partition: 0, offset: String(number) },
      counts: { records: 2, accepted: 2, refused: 0, skipped: 0, warnings: 0 },
      findings: {},
      sections: [
        { table: 'thing', text: Buffer.from(thing), rows: linesOf(thing) },
        { table: 'part', text: Buffer.from(part), rows: linesOf(part) },
      ],
      attempt: 0,
      fault: null,
      contractVersion: 1,
      plan: this.plan().mark,
      sealed: false,
    };
  }

  plan(checksSeals = false): ReturnType<typeof loaderPlan> {
    return loaderPlan(THING_PLAN, 1, this.job, checksSeals);
  }

  loaderWith(sessionTimeoutMs: number, atOnce?: MergeAtOnce): GroupLoader {
    return new GroupLoader({
      pool: this.pool,
      logger: pino({ level: 'silent' }),
      sessionTimeoutMs,
      retryPauseMs: 1,
      onCommitted: () => (this.commits += 1),
      ...(atOnce && { atOnce }),
    });
  }

  load(...batches: CleanMessage[]): ReturnType<GroupLoader['load']> {
    return this.loadBy(this.plan(), ...batches);
  }

  loadBy(plan: ReturnType<typeof loaderPlan>, ...batches: CleanMessage[]): ReturnType<GroupLoader['load']> {
    return this.loader.load({ dataset: 'things', job: this.job, batches }, plan, () => undefined);
  }

  /** Names of the staging tables of things and parts. */
  get tables(): [things: string, parts: string] {
    const [things = '', parts = ''] = stagingTargets(THING_PLAN, this.job).map(
      ({ stagingName }) => `sluice_staging."${stagingName}"`,
    );
    return [things, parts];
  }

  async staged(): Promise<{ things: string[]; parts: string[]; batches: number[] }> {
    const [things, parts] = this.tables;
    const column = async (sql: string): Promise<string[]> =>
      (await this.pool.query<{ value: string }>(sql)).rows.map(({ value }) => value);
    return {
      things: await column(`SELECT code AS value FROM ${things} ORDER BY _sluice_record`),
      parts: await column(`SELECT thing_code || name AS value FROM ${parts} ORDER BY _sluice_record`),
      batches: (
        await column(`SELECT batch AS value FROM sluice.ledger WHERE job = '${this.job}' ORDER BY 1`)
      ).map(Number),
    };
  }

  async paused(): Promise<unknown> {
    return (await this.pool.query('SELECT state, pause_reason, pause_detail FROM sluice.job')).rows[0];
  }

  async continued(): Promise<void> {
    await this.pool.query(
      `UPDATE sluice.job SET state = 'running', pause_reason = NULL, pause_detail = NULL`,
    );
  }
}

const linesOf = (text: string): number => text.split('\n').length - 1;

/** Reports every COPY that goes over the connection, which is real. */
function countCopies(client: pg.PoolClient, onCopy: (table: string) => void): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  client.query = ((...args: unknown[]) => {
    const [statement] = args;
    const text =
      typeof statement === 'object' && statement !== null && 'text' in statement ? statement.text : '';
    const table = typeof text === 'string' ? /^COPY sluice_staging\."?(\w+)/.exec(text)?.[1] : undefined;
    if (table !== undefined) onCopy(table);
    return query(...args);
  }) as typeof client.query;
}
