import { randomUUID } from 'node:crypto';
import { SluiceError } from '#common/errors/sluice-error.js';
import { createPool } from '#common/postgres/pool.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import { foldsOver } from '../../apps/tracker/src/testing/folds.js';
import { type ReadApiApp, startReadApi } from '../../apps/tracker/src/testing/read-api-app.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { percentile, ratiosOf } from '../report/statistics.js';
import { inOwnDatabase } from '../stages/own-database.js';

const DATASET = 'bench-letters';
/** Of two jobs the newer one has most of them, so that finding what few have means skipping many. */
const JOBS = ['01890000-0000-7000-8000-000000000001', '01890000-0000-7000-8000-000000000002'] as const;
const DELIVERY = 1_000;
const REQUESTS = 200;
const TARGET_MS = 200;
const COLUMNS = Array.from({ length: 16 }, (_, at) => `column ${at}`);
/** One in N has this reason. */
const RARE = 50_000;

/** What is asked over HTTP, by label. */
const questions = (group: string, rareGroup: string, middle: number): Readonly<Record<string, string>> => ({
  groups: '/dead-letters/groups?state=open',
  'groups of a code': `/dead-letters/groups?dataset=${DATASET}&code=BAD_3`,
  'all dead letters': '/dead-letters?limit=100',
  'of a dataset': `/dead-letters?dataset=${DATASET}&limit=100`,
  'of a large group': `/dead-letters?group=${group}&state=open&limit=100`,
  'of a rare group': `/dead-letters?group=${rareGroup}&limit=100`,
  'of a code': '/dead-letters?code=BAD_3&limit=100',
  'of a rare code': '/dead-letters?code=RARE&limit=100',
  'of a stage': '/dead-letters?stage=load&limit=100',
  'of a job': `/dead-letters?job=${JOBS[0]}&limit=100`,
  'a page in the middle': `/dead-letters?limit=100&cursor=${JOBS[1]}:${middle}`,
  'a page in the middle of a large group': `/dead-letters?group=${group}&limit=100&cursor=${JOBS[1]}:${middle}`,
  'of a state that none has': '/dead-letters?state=landed&limit=100',
});

/** What is asked when half of them are discarded. */
const questionsByState = (group: string, middle: number): Readonly<Record<string, string>> => ({
  'groups of discarded ones': '/dead-letters/groups?state=discarded',
  'discarded ones': '/dead-letters?state=discarded&limit=100',
  'open ones': '/dead-letters?state=open&limit=100',
  'open ones of a large group': `/dead-letters?group=${group}&state=open&limit=100`,
  'open ones of a code': '/dead-letters?code=BAD_3&state=open&limit=100',
  'open ones from the middle': `/dead-letters?state=open&limit=100&cursor=${JOBS[1]}:${middle}`,
  'open ones of a stage that has none': '/dead-letters?state=open&stage=load&limit=100',
});

/** How long lists and groups take over many dead letters, and how fast these are folded. */
export const deadLetters: BenchCase = {
  name: 'dead-letters',
  about:
    'folding dead letters into groups, then lists and groups over HTTP at the 99th percentile, and discarding half of them',
  defaultRows: 500_000,
  async run(bench) {
    const system = await bench.system();
    return inOwnDatabase(system.databaseUrl, 'bench_letters', async (url) => {
      const pool = createPool({ url, applicationName: 'bench', maxConnections: 4 });
      const api = await startReadApi({ databaseUrl: url });
      try {
        const folds = foldsOver(pool);
        const { result: _folded, ...fold } = await system.measure(async () => {
          for (let first = 0; first < bench.rows; first += DELIVERY)
            await folds.indexDeadLetters(delivery(first, Math.min(DELIVERY, bench.rows - first)));
        });
        await pool.query('ANALYZE sluice.dead_letter');
        const runs: Run[] = [{ label: 'fold', round: 1, rows: bench.rows, ...fold }];
        const { rows } = await pool.query<{ id: string }>(
          `SELECT id FROM sluice.dead_letter_group ORDER BY code = 'RARE', open DESC`,
        );
        const [group, rareGroup] = [rows[0]?.id ?? randomUUID(), rows.at(-1)?.id ?? randomUUID()];
        const middle = Math.floor(bench.rows / 2);
        const requests = bench.isTrial ? 1 : REQUESTS;
        const ask = async (asked: Readonly<Record<string, string>>): Promise<string[]> => {
          for (const [label, path] of Object.entries(asked)) {
            const seconds = percentile(await timesOf(api, path, requests), 0.99);
            bench.say(`  ${label}: ${(seconds * 1000).toFixed(0)} ms at the 99th percentile`);
            runs.push({ label, round: 1, rows: requests, seconds });
          }
          return Object.keys(asked);
        };
        const labels = await ask(questions(group, rareGroup, middle));
        const { result: discarded, ...cost } = await system.measure(() => discard(api));
        runs.push({ label: 'discard', round: 1, rows: discarded, ...cost });
        await pool.query('VACUUM ANALYZE sluice.dead_letter');
        labels.push(...(await ask(questionsByState(group, middle))));
        runs.push({ label: 'target', round: 1, rows: 1, seconds: TARGET_MS / 1000 });
        return {
          ...{ name: 'dead-letters', rows: bench.rows, runs },
          ratios: ratiosOf(
            runs,
            labels.map((of) => ({
              name: `${of}: p99 to ${TARGET_MS} ms`,
              of,
              to: 'target',
              target: 1,
            })),
          ),
          notes: [
            `Seconds of a list or of groups are the 99th percentile of ${requests} requests, one after the other.`,
            'Folding is one partition, without Kafka: deliveries of 1,000, one transaction each.',
          ],
        };
      } finally {
        await api.stop();
        await pool.end();
      }
    });
  },
};

async function timesOf(api: ReadApiApp, path: string, requests: number): Promise<number[]> {
  const times: number[] = [];
  for (let at = 0; at < requests; at++) {
    const beganAt = performance.now();
    const answer = await fetch(api.url + path);
    if (!answer.ok) throw new SluiceError('INTERNAL', `${path} answers ${answer.status}.`);
    await answer.arrayBuffer();
    times.push((performance.now() - beganAt) / 1000);
  }
  return times;
}

/** A filter that half of them fit. @returns how many */
async function discard(api: ReadApiApp): Promise<number> {
  const response = await fetch(`${api.url}/dead-letters/discard`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify({ filter: { stage: 'load' }, reason: 'bench' }),
  });
  return ((await response.json()) as { discarded: number }).discarded;
}

function delivery(first: number, count: number): DeadLetter[] {
  return Array.from({ length: count }, (_, at) => letter(first + at));
}

/** 16 columns, ten reasons, some hundred shapes; decided by the number alone. */
function letter(number: number): DeadLetter {
  const random = spread(number);
  const at = random(COLUMNS.length);
  const fields = COLUMNS.map(() => String(random(100_000_000)));
  fields[at] = WRONG[random(WRONG.length)] ?? '';
  const code = number % RARE === RARE / 2 ? 'RARE' : `BAD_${random(10)}`;
  return {
    ...{ dataset: DATASET, job: JOBS[number % 10 === 0 ? 0 : 1], batch: Math.floor(number / 5_000) },
    ...{ record: number, line: number + 2, byteStart: number * 150, byteEnd: number * 150 + 149 },
    stage: random(2) === 0 ? 'validate' : 'load',
    findings: [
      { code, field: COLUMNS[at] ?? null, message: 'must be a number of eight digits', severity: 'error' },
    ],
    ...{ sqlstate: null, attempt: 0, columns: COLUMNS, bytes: Buffer.from(fields.join(',')) },
  };
}

const WRONG = [
  '',
  'n/a',
  'Taipei City',
  '1234567',
  '123456789',
  '12-34',
  '12,34',
  '１２３４５６７８',
  'A1234567',
  '??',
];

/** Whole numbers below a bound that follow from a seed (a linear congruence). */
function spread(seed: number): (below: number) => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
