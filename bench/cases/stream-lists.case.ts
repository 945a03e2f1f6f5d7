import { createPool, inTransaction } from '#common/postgres/pool.js';
import { pruneStreamJobs } from '#core/job/prune-stream-jobs.js';
import { streamJobFacts } from '#core/stream/stream-jobs.js';
import { type ReadApiApp, startReadApi } from '../../apps/tracker/src/testing/read-api-app.js';
import { fillFinishedJobs } from '../../test/support/finished-stream-jobs.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { percentile, ratiosOf } from '../report/statistics.js';
import { inOwnDatabase } from '../stages/own-database.js';

const REQUESTS = 200;
const TARGET_MS = 100;
/** Every N-th job has a dead letter. */
const REFUSED_EVERY = 10;
const STEP = { keepHours: 1, keepJobs: 1_000, limit: 250 };

/** What is asked over HTTP, by label. */
const QUESTIONS: Readonly<Record<string, string>> = {
  jobs: '/jobs?limit=20&streams=hidden',
  'jobs of a dataset': '/jobs?limit=20&streams=hidden&dataset=things',
  'all jobs': '/jobs?limit=20',
  'jobs of the stream': '/jobs?limit=20&stream=things',
  'failed jobs of the stream': '/jobs?limit=20&stream=things&state=failed',
  'dead letters': '/dead-letters?dataset=things&limit=20',
};

/** How long lists take beside the jobs that a stream makes in a day, and what pruning these costs. */
export const streamLists: BenchCase = {
  name: 'stream-lists',
  about:
    'a day of one-second jobs in the control tables: lists over HTTP at the 99th percentile, and pruning all of them',
  defaultRows: 86_400,
  async run(bench) {
    const system = await bench.system();
    return inOwnDatabase(system.databaseUrl, 'bench_stream_lists', async (url) => {
      const pool = createPool({ url, applicationName: 'bench', maxConnections: 4 });
      const api = await startReadApi({ databaseUrl: url });
      try {
        const from = new Date(Date.now() - (bench.rows + 7_200) * 1_000);
        const sql = (text: string, values?: unknown[]): Promise<unknown> => pool.query(text, values);
        await fillFinishedJobs(sql, { jobs: bench.rows, from, refusedEvery: REFUSED_EVERY });
        await pool.query('VACUUM ANALYZE');
        const requests = bench.isTrial ? 1 : REQUESTS;
        const runs: Run[] = [];
        for (const [label, path] of Object.entries(QUESTIONS))
          runs.push(await asked(label, requests, () => get(api, path)));
        runs.push(
          await asked('status of the stream', requests, () =>
            streamJobFacts(pool, { dataset: 'things', lastJob: null }),
          ),
        );
        for (const { label, seconds } of runs)
          bench.say(`  ${label}: ${(seconds * 1000).toFixed(0)} ms at the 99th percentile`);
        const { result: pruned, ...cost } = await system.measure(async () => {
          let all = 0;
          for (let step = 1; step > 0; all += step)
            step = await inTransaction(pool, (client) => pruneStreamJobs(client, 'things', STEP));
          return all;
        });
        runs.push({ label: 'prune', round: 1, rows: pruned, ...cost });
        runs.push({ label: 'target', round: 1, rows: 1, seconds: TARGET_MS / 1000 });
        const { rows } = await pool.query<{ jobs: string; hours: string; bytes: string }>(
          `SELECT (SELECT count(*) FROM sluice.job) AS jobs, (SELECT count(*) FROM sluice.stream_hour) AS hours,
             (SELECT pg_total_relation_size('sluice.stream_hour') + pg_total_relation_size('sluice.pruned_job')) AS bytes`,
        );
        const { jobs = '?', hours = '?', bytes = '0' } = rows[0] ?? {};
        return {
          ...{ name: 'stream-lists', rows: bench.rows, runs },
          ratios: ratiosOf(
            runs,
            [...Object.keys(QUESTIONS), 'status of the stream'].map((of) => ({
              name: `${of}: p99 to ${TARGET_MS} ms`,
              of,
              to: 'target',
              target: 1,
            })),
          ),
          notes: [
            `Seconds of a list are the 99th percentile of ${requests} requests, one after the other.`,
            `After pruning ${jobs} jobs are left, and ${hours} hours; hours and pruned jobs with dead letters take ${Math.ceil(Number(bytes) / 1024)} KiB.`,
          ],
        };
      } finally {
        await api.stop();
        await pool.end();
      }
    });
  },
};

async function get(api: ReadApiApp, path: string): Promise<void> {
  await (await fetch(api.url + path)).arrayBuffer();
}

async function asked(label: string, requests: number, ask: () => Promise<unknown>): Promise<Run> {
  const times: number[] = [];
  for (let at = 0; at < requests; at++) {
    const beganAt = performance.now();
    await ask();
    times.push((performance.now() - beganAt) / 1000);
  }
  return { label, round: 1, rows: requests, seconds: percentile(times, 0.99) };
}
