/**
 * What one record that only the database refuses costs its group: at most three COPYs a table (decision 11).
 *
 *     node dist/bench/refused-record.js [--records 20000] [--rounds 9]
 *
 * Loads groups of the same size into a throw-away PostgreSQL with no bad record, one, and twenty, in turns. Prints the
 * median of each and its ratio to the first; compare the ratios, not the seconds.
 */
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { migrate } from '#core/schema/migrate.js';
import { createStaging } from '#core/staging/staging-tables.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import { GroupLoader } from '../apps/loader/src/load/group-loader.js';
import { stagingTargets } from '../apps/loader/src/load/staging-targets.js';
import { startTestDatabase } from '../test/support/postgres.js';

const PLAN: readonly TablePlan[] = [
  { table: 'thing', columns: ['code', 'amount'], key: ['code'], version: null, sources: {}, parent: null },
];
const { values: options } = parseArgs({
  options: { records: { type: 'string', default: '20000' }, rounds: { type: 'string', default: '9' } },
});
const records = Number(options.records);

const database = await startTestDatabase();
const pool = createPool({ url: database.url, applicationName: 'bench', maxConnections: 2 });
try {
  await migrate(database.url, []);
  await pool.query(
    'CREATE TABLE public.thing (code text PRIMARY KEY, amount int NOT NULL CHECK (amount < 1000))',
  );
  const loader = new GroupLoader({ pool, logger: pino({ level: 'silent' }), sessionTimeoutMs: 30_000 });
  const seconds = new Map<number, number[]>([0, 1, 20].map((bad) => [bad, []]));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [bad, measured] of seconds) measured.push(await measure(loader, bad));
  }
  const clean = median(seconds.get(0) ?? []);
  for (const [bad, measured] of seconds) {
    const line = { records, bad, medianSeconds: median(measured), ratio: median(measured) / clean };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
} finally {
  await pool.end();
  await database.stop();
}

/** Seconds of one group's transaction, the bad records spread over it. */
async function measure(loader: GroupLoader, bad: number): Promise<number> {
  const job = uuidv7();
  await pool.query(
    `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version)
     VALUES ($1, $2, 'replace', 'running', '{}', '', false, 0.05, '{}', 1)`,
    [job, `things-${job}`],
  );
  await inTransaction(pool, (client) => createStaging(client, PLAN, { id: job, mode: 'replace' }));
  const group = { dataset: 'things', job, batches: [batch(job, bad)] };
  const startedAt = performance.now();
  await loader.load(group, stagingTargets(PLAN, job), () => undefined);
  return (performance.now() - startedAt) / 1000;
}

function batch(job: string, bad: number): CleanMessage {
  const every = bad === 0 ? Infinity : Math.floor(records / bad);
  const rows = Array.from({ length: records }, (_, record) => {
    const isBad = record % every === Math.floor(every / 2);
    return `${record}\tcode ${record}\t${isBad ? 1000 : 1}\n`;
  });
  return {
    ...{ dataset: 'things', job, epoch: 1, batch: 0, firstRecord: 0, firstLine: 2, byteStart: 0, byteEnd: 1 },
    crc32c: 1,
    raw: { topic: 'sluice.things.raw', partition: 0, offset: '0' },
    counts: { records, accepted: records, refused: 0, skipped: 0, warnings: 0 },
    findings: {},
    sections: [{ table: 'thing', text: Buffer.from(rows.join('')), rows: records }],
    attempt: 0,
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
