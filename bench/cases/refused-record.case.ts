import type pg from 'pg';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { createStaging, dropStaging } from '#core/staging/staging-tables.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import { GroupLoader } from '../../apps/loader/src/load/group-loader.js';
import { loaderPlan } from '../../apps/loader/src/load/staging-targets.js';
import type { BenchCase } from '../bench-case.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import { inOwnDatabase } from '../stages/own-database.js';
import { type Contestant, measureInTurns } from './in-turns.js';

const GROUP_RECORDS = 20_000;
const DATASET = 'bench-refused';
const PLAN: readonly TablePlan[] = [
  {
    schema: 'public',
    table: 'thing',
    columns: ['code', 'amount'],
    key: ['code'],
    version: null,
    sources: {},
    parent: null,
  },
];

const RATIOS: readonly RatioQuestion[] = [
  { name: 'one refused record a group to none', of: 'one', to: 'none', target: null },
  { name: 'twenty refused records a group to none', of: 'twenty', to: 'none', target: null },
];

/** What records that only the database refuses cost their group: the choice behind docs/decisions/0011. */
export const refusedRecord: BenchCase = {
  name: 'refused-record',
  about: `groups of ${GROUP_RECORDS.toLocaleString('en')} records of which the database refuses none, one, or twenty`,
  defaultRows: 10 * GROUP_RECORDS,
  async run(bench) {
    const system = await bench.system();
    const groups = Math.max(1, Math.round(bench.rows / GROUP_RECORDS));
    return inOwnDatabase(system.databaseUrl, 'bench_refused', async (url) => {
      const pool = createPool({ url, applicationName: 'bench', maxConnections: 2 });
      const loader = new GroupLoader({ pool, logger: pino({ level: 'silent' }), sessionTimeoutMs: 30_000 });
      const contestant = (label: string, bad: number): Contestant => ({
        label,
        measure: () =>
          withRunningJob(pool, async (job) => {
            const messages = Array.from({ length: groups }, (_, group) => batch(job, group, bad));
            const { result, ...cost } = await system.measure(() => load(loader, job, messages));
            return { ...cost, rows: result };
          }),
      });
      try {
        await pool.query(
          'CREATE TABLE public.thing (code text PRIMARY KEY, amount int NOT NULL CHECK (amount < 1000))',
        );
        const runs = await measureInTurns(bench, [
          contestant('none', 0),
          contestant('one', 1),
          contestant('twenty', 20),
        ]);
        return {
          ...{ name: 'refused-record', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
          notes: [
            'Each group is one transaction of the loader, on one connection; the refused records are spread over it.',
          ],
        };
      } finally {
        await pool.end();
      }
    });
  },
};

/** Loads each batch as a group of its own. @returns its records */
async function load(loader: GroupLoader, job: string, batches: readonly CleanMessage[]): Promise<number> {
  const plan = loaderPlan(PLAN, 1, job);
  for (const each of batches) {
    await loader.load({ dataset: DATASET, job, batches: [each] }, plan, () => undefined);
  }
  return batches.length * GROUP_RECORDS;
}

async function withRunningJob<T>(pool: pg.Pool, work: (job: string) => Promise<T>): Promise<T> {
  const job = uuidv7();
  await pool.query(
    `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version, epoch)
     VALUES ($1, $2, 'replace', 'running', '{}', '', false, 0.05, '{}', 1, 1)`,
    [job, DATASET],
  );
  await inTransaction(pool, (client) => createStaging(client, PLAN, { id: job, mode: 'replace' }));
  try {
    return await work(job);
  } finally {
    await dropStaging(pool, { id: job });
    await pool.query('DELETE FROM sluice.job WHERE id = $1', [job]);
  }
}

function batch(job: string, group: number, bad: number): CleanMessage {
  const every = bad === 0 ? Infinity : Math.floor(GROUP_RECORDS / bad);
  const firstRecord = group * GROUP_RECORDS;
  const rows = Array.from({ length: GROUP_RECORDS }, (_, index) => {
    const isBad = index % every === Math.floor(every / 2);
    return `${firstRecord + index}\tcode ${firstRecord + index}\t${isBad ? 1000 : 1}\n`;
  });
  return {
    ...{ dataset: DATASET, job, epoch: 1, batch: group, firstRecord, firstLine: firstRecord + 2 },
    ...{ byteStart: firstRecord, byteEnd: firstRecord + GROUP_RECORDS, crc32c: 1, attempt: 0 },
    raw: { topic: `sluice.${DATASET}.raw`, partition: 0, offset: String(group) },
    counts: { records: GROUP_RECORDS, accepted: GROUP_RECORDS, refused: 0, skipped: 0, warnings: 0 },
    findings: {},
    ...{ fault: null, contractVersion: 1, plan: null, sealed: false },
    sections: [{ table: 'thing', text: Buffer.from(rows.join('')), rows: GROUP_RECORDS }],
  };
}
