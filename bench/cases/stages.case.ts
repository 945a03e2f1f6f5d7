import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createPool } from '#common/postgres/pool.js';
import { Psql } from '../baselines/psql.js';
import type { Bench, BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import { CleanText } from '../stages/clean-text.js';
import { copyGroups, copyWithPsql, withStaging } from '../stages/copying.js';
import { indexAsFinalizer, indexSerially, readTargets, withFinalizingJob } from '../stages/indexing.js';
import { checkPlainly } from '../stages/judging-plainly.js';
import { type JudgedBatch, check, cut, decode, encode, judgeSlice } from '../stages/judging.js';
import { inOwnDatabase } from '../stages/own-database.js';
import { RegistrationSlice, compileRegistrations } from '../stages/registrations.js';
import { type Amount, type MeasuredStage, StageRuns, perRow } from '../stages/stage-run.js';
import { type Freight, measureThereAndBack } from '../stages/there-and-back.js';
import { rawMessagesOf } from '../stages/through-kafka.js';
import { costOf } from '../system/cost.js';
import { type Contestant, measureInTurns } from './in-turns.js';

/** The plain way needs about 40 µs a row. */
const MAX_PLAIN_ROWS = 20_000;
/** COPY and finalizing take two each, one step at a time. */
const MAX_CONNECTIONS = 4;

const THERE_AND_BACK = { produce: 'produce', consume: 'consume' } as const;

const RATIOS: readonly RatioQuestion[] = [
  { name: 'compiled check to the plain one, a row', of: 'check', to: 'check-plain', target: null },
  { name: 'COPY on one connection to psql', of: 'copy-1', to: 'copy-psql', target: null },
  { name: 'COPY on two connections to psql', of: 'copy-2', to: 'copy-psql', target: null },
  { name: 'indexes side by side to one after the other', of: 'index', to: 'index-serial', target: null },
];

/** Where the time from file to table goes, and what each stage could do if it were alone. */
export const stages: BenchCase = {
  name: 'stages',
  about: 'each stage of the way alone, by the product’s own modules',
  defaultRows: 1_600_000,
  async run(bench) {
    bench.say('making registrations');
    const slice = new RegistrationSlice(bench.rows);
    const judged = judgeSlice(slice);
    const stageRuns = new StageRuns();
    const runs = [
      ...(await measureJudging(bench, stageRuns, slice, judged)),
      ...(await measureKafka(bench, stageRuns, judged)),
      ...(await measureLoading(bench, stageRuns)),
    ];
    return {
      ...{ name: 'stages', rows: bench.rows, runs, ratios: ratiosOf(runs.map(perRow), RATIOS) },
      notes: [
        stageRuns.rates(runs),
        'Up to consume, 0.2 % of the rows are bad, and at most 400,000 are held in memory: they come again and again.',
        'check-plain is the oracle of the property test, csv-parse and class-validator written for clearness; its rows have no defects.',
        'consume counts from the moment that its group was joined; its CPU seconds hold the joining, too.',
        'copy and index take rows without defects, since no key may come twice; copy-psql reads the same text from the same files.',
        'index has the finalizer’s connections and maintenance_work_mem, index-serial one psql and the server’s.',
      ],
    };
  },
};

async function measureJudging(
  bench: Bench,
  stageRuns: StageRuns,
  slice: RegistrationSlice,
  judged: readonly JudgedBatch[],
): Promise<Run[]> {
  const { rows } = bench;
  const plain = new RegistrationSlice(Math.min(rows, MAX_PLAIN_ROWS), { defectShare: 0, repeatShare: 0 });
  const contract = compileRegistrations();
  const stage = (label: string, work: () => Amount): Contestant => ({
    label,
    measure: async () => stageRuns.runOf(label, await costOf(work)),
  });
  return measureInTurns(bench, [
    stage('cut', () => cut(slice, rows)),
    stage('check', () => check(contract, slice.batches, rows)),
    stage('check-plain', () => checkPlainly(plain.records)),
    stage('encode', () => encode(judged, rows)),
    stage('decode', () => decode(judged, rows)),
  ]);
}

async function measureKafka(
  bench: Bench,
  stageRuns: StageRuns,
  judged: readonly JudgedBatch[],
): Promise<Run[]> {
  const system = await bench.system();
  const kafka = createKafka({
    ...{ brokers: system.kafkaBrokers, clientId: 'bench' },
    logger: pino({ level: 'silent' }),
  });
  const publisher = new Publisher(kafka);
  const freight: Freight = {
    messages: rawMessagesOf(judged),
    kinds: ['raw'],
    rows: bench.rows,
    send: (message) => publisher.send([message]),
  };
  const runs: Run[] = [];
  try {
    for (let round = 1; round <= bench.rounds; round++) {
      bench.say(`  round ${round}, produce and consume`);
      runs.push(...(await measureThereAndBack(system, kafka, stageRuns, round, THERE_AND_BACK, freight)));
    }
  } finally {
    await publisher.disconnect();
  }
  return runs;
}

async function measureLoading(bench: Bench, stageRuns: StageRuns): Promise<Run[]> {
  const system = await bench.system();
  bench.say('making COPY text');
  const text = CleanText.write(bench.folder, bench.rows);
  try {
    return await inOwnDatabase(system.databaseUrl, 'bench_stages', async (url) => {
      const pool = createPool({ url, applicationName: 'bench', maxConnections: MAX_CONNECTIONS });
      const psql = new Psql(url, bench.folder);
      const stage = (label: string, work: (job: string) => Promise<MeasuredStage>): Contestant => ({
        label,
        measure: async () => stageRuns.runOf(label, await withStaging(pool, text.plan, work)),
      });
      const indexStage = (label: string, work: (job: string) => Promise<Amount>): Contestant =>
        stage(label, async (job) => {
          await copyGroups(pool, text, job, 2);
          return withFinalizingJob(pool, job, () => system.measure(() => work(job)));
        });
      try {
        const targets = await readTargets(pool, text.plan);
        return await measureInTurns(bench, [
          stage('copy-1', (job) => system.measure(() => copyGroups(pool, text, job, 1))),
          stage('copy-2', (job) => system.measure(() => copyGroups(pool, text, job, 2))),
          stage('copy-psql', (job) => system.measure(() => copyWithPsql(psql, text, job))),
          indexStage('index', (job) => indexAsFinalizer(pool, text, job)),
          indexStage('index-serial', (job) => indexSerially(psql, text, targets, job)),
        ]);
      } finally {
        await pool.end();
      }
    });
  } finally {
    text.close();
  }
}
