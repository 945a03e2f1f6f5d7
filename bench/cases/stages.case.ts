import type pg from 'pg';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/kafka-client.js';
import { Publisher } from '#common/kafka/publisher.js';
import { createPool } from '#common/postgres/pool.js';
import type { Bench, BenchCase } from '../bench-case.js';
import { Psql } from '../baselines/psql.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import { CleanText } from '../stages/clean-text.js';
import { copyGroups, copyWithPsql, makeStaging, removeStaging } from '../stages/copying.js';
import {
  deleteJob,
  indexAsFinalizer,
  indexSerially,
  insertFinalizingJob,
  readTargets,
} from '../stages/indexing.js';
import { checkPlainly } from '../stages/judging-plainly.js';
import { type JudgedBatch, check, cut, decode, encode, judgeSlice } from '../stages/judging.js';
import { inOwnDatabase } from '../stages/own-database.js';
import { RegistrationSlice, compileRegistrations } from '../stages/registrations.js';
import { type Amount, type StageRun, lineOf, perRow, stageRun } from '../stages/stage-run.js';
import { consume, produce, rawMessagesOf, withRawTopic } from '../stages/through-kafka.js';
import type { BenchSystem } from '../system/bench-system.js';
import { costOf } from '../system/cost.js';

/** The plain way needs 50 µs a row. */
const MAX_PLAIN_ROWS = 20_000;
/** Of the widest stage: copying and finalizing take two connections by default. */
const MAX_CONNECTIONS = 8;

const RATIOS: readonly RatioQuestion[] = [
  { name: 'compiled check to the plain one, per row', of: 'check', to: 'check-plain', target: null },
  { name: 'COPY on one connection to psql', of: 'copy-1', to: 'copy-psql', target: null },
  { name: 'COPY on two connections to psql', of: 'copy-2', to: 'copy-psql', target: null },
  { name: 'indexes side by side to one after the other', of: 'index', to: 'index-serial', target: null },
];

export const stages: BenchCase = {
  name: 'stages',
  about: 'each stage of the way alone, on registrations with 0.2 % bad rows',
  defaultRows: 1_600_000,
  async run(bench) {
    bench.say('making registrations');
    const slice = new RegistrationSlice(bench.rows);
    const judged = judgeSlice(slice);
    const runs = [
      ...(await measureJudging(bench, slice, judged)),
      ...(await measureKafka(bench, judged)),
      ...(await measureLoading(bench)),
    ];
    return {
      name: 'stages',
      rows: bench.rows,
      runs,
      ratios: ratiosOf(runs.map(perRow), RATIOS),
      notes: [
        'Stages of this process alone, and those with Kafka, take up to 400,000 rows from memory again and again.',
        'check-plain is the oracle of the property test, csv-parse and class-validator written for clearness; it takes rows without defects.',
        'consume counts from the moment that its group was joined; its CPU seconds hold the joining, too.',
        'copy and index take rows without defects, so that no key comes twice; copy-psql reads the same text from the same files.',
        'index uses the finalizer’s connections and maintenance_work_mem, index-serial one connection and the server’s.',
      ],
    };
  },
};

async function measureJudging(
  bench: Bench,
  slice: RegistrationSlice,
  judged: readonly JudgedBatch[],
): Promise<StageRun[]> {
  const { rows } = bench;
  const plain = new RegistrationSlice(Math.min(rows, MAX_PLAIN_ROWS), { defectShare: 0, repeatShare: 0 });
  const contract = compileRegistrations();
  const work: Readonly<Record<string, () => Amount>> = {
    cut: () => cut(slice, rows),
    check: () => check(contract, slice.batches, rows),
    'check-plain': () => checkPlainly(plain.records),
    encode: () => encode(judged, rows),
    decode: () => decode(judged, rows),
  };
  const runs: StageRun[] = [];
  for (let round = 1; round <= bench.rounds; round++) {
    for (const [label, stage] of Object.entries(work)) {
      runs.push(told(bench, stageRun(label, round, await costOf(stage))));
    }
  }
  return runs;
}

async function measureKafka(bench: Bench, judged: readonly JudgedBatch[]): Promise<StageRun[]> {
  const system = await bench.system();
  const logger = pino({ level: 'silent' });
  const kafka = createKafka({ brokers: system.kafkaBrokers, clientId: 'bench', logger });
  const publisher = new Publisher(kafka);
  const messages = rawMessagesOf(judged);
  const runs: StageRun[] = [];
  try {
    for (let round = 1; round <= bench.rounds; round++) {
      await withRawTopic(kafka, async () => {
        const produced = await system.measure(() => produce(publisher, messages, bench.rows));
        const consumed = await system.measure(() => consume(kafka, produced.result));
        const { seconds } = consumed.result;
        runs.push(told(bench, stageRun('produce', round, produced)));
        runs.push(told(bench, stageRun('consume', round, { ...consumed, seconds })));
      });
    }
  } finally {
    await publisher.disconnect();
  }
  return runs;
}

async function measureLoading(bench: Bench): Promise<StageRun[]> {
  const system = await bench.system();
  bench.say('making COPY text');
  const text = CleanText.write(bench.folder, bench.rows);
  try {
    return await inOwnDatabase(system.databaseUrl, 'bench_stages', async (url) => {
      const pool = createPool({ url, applicationName: 'bench', maxConnections: MAX_CONNECTIONS });
      try {
        const psql = new Psql(url, bench.folder);
        const runs: StageRun[] = [];
        for (let round = 1; round <= bench.rounds; round++) {
          runs.push(...(await loadingRound(system, pool, text, psql, round)).map((run) => told(bench, run)));
        }
        return runs;
      } finally {
        await pool.end();
      }
    });
  } finally {
    text.close();
  }
}

/** Three copies of the same rows; two of them are given their indexes afterwards. */
async function loadingRound(
  system: BenchSystem,
  pool: pg.Pool,
  text: CleanText,
  psql: Psql,
  round: number,
): Promise<StageRun[]> {
  const targets = await readTargets(pool, text);
  const [first, second, third] = [
    await makeStaging(pool, text),
    await makeStaging(pool, text),
    await makeStaging(pool, text),
  ];
  await insertFinalizingJob(pool, second);
  const work: Readonly<Record<string, () => Promise<Amount>>> = {
    'copy-1': () => copyGroups(pool, text, first, 1),
    'copy-2': () => copyGroups(pool, text, second, 2),
    'copy-psql': () => copyWithPsql(psql, text, third),
    index: () => indexAsFinalizer(pool, text, second),
    'index-serial': () => indexSerially(psql, text, targets, third),
  };
  const runs: StageRun[] = [];
  for (const [label, stage] of Object.entries(work)) {
    runs.push(stageRun(label, round, await system.measure(stage)));
  }
  await deleteJob(pool, second);
  for (const job of [first, second, third]) await removeStaging(pool, job);
  return runs;
}

function told(bench: Bench, run: StageRun): StageRun {
  bench.say(lineOf(run));
  return run;
}
