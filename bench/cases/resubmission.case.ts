import { SluiceError } from '#common/errors/sluice-error.js';
import { createPool } from '#common/postgres/pool.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import { eventually } from '#test/support/eventually.js';
import { foldsOver } from '../../apps/tracker/src/testing/folds.js';
import { DATASET } from '../baselines/baseline-database.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { percentile, ratiosOf } from '../report/statistics.js';
import { PROLOGUE, registrations } from '../stages/registrations.js';
import type { BenchSystem } from '../system/bench-system.js';
import { memoryRatio } from './growth.case.js';
import { RegistrationSystem } from './registration-system.js';

const CODE = 'RULE_FIXED';
const DELIVERY = 1_000;
/** One in N is refused again. */
const REFUSED_AGAIN = 20;
const TARGET_A_SECOND = 20_000;
/** Behind the records that the job has refused itself. */
const FIRST_RECORD = 1_000_000;
const LONGEST_MS = 600_000;
/** Made beyond those that are wanted, as a share of them: more than have line ends. */
const SPARE_SHARE = 0.001;

const SENT = 'resubmit';
const LOADED = 'load';
const DECIDED = 'decide';
const TARGET = 'target';
const JOB_PAGE = 'job page';
const LIST_TARGET = 'target of a list';
const LIST_TARGET_SECONDS = 0.2;
const REQUESTS = 100;

/** How fast dead letters are sent again, and how long it takes until each of them is decided about. */
export const resubmission: BenchCase = {
  name: 'resubmission',
  about:
    'dead letters sent again after a rule was fixed, a twentieth of them refused again: seconds and memory by step',
  defaultRows: 500_000,
  async run(bench) {
    const system = await bench.system();
    const place = new RegistrationSystem(system);
    const origin = await place.loadSmall(bench);
    const runs: Run[] = [];
    for (let round = 1; round <= bench.rounds; round++) {
      await place.clear();
      bench.say(`making ${bench.rows} dead letters`);
      await fill(system, origin.report.job, bench.rows, FIRST_RECORD + (round - 1) * bench.rows);
      runs.push(...(await measuredRound(system, round, bench.rows)));
      for (const { label, seconds } of runs.filter((run) => run.round === round && run.label !== TARGET))
        bench.say(`  round ${round}, ${label}: ${seconds.toFixed(2)} s`);
    }
    runs.push(
      { label: JOB_PAGE, round: 1, rows: REQUESTS, seconds: await jobPage(system, origin.report.job) },
      { label: LIST_TARGET, round: 1, rows: 1, seconds: LIST_TARGET_SECONDS },
    );
    await place.clear();
    return {
      ...{ name: 'resubmission', rows: bench.rows, runs },
      ratios: [
        ...ratiosOf(runs, [
          { name: `sending, to ${TARGET_A_SECOND} records a second`, of: SENT, to: TARGET, target: 1 },
          { name: `deciding, to ${TARGET_A_SECOND} records a second`, of: DECIDED, to: TARGET, target: null },
          { name: 'job page: p99 to 200 ms', of: JOB_PAGE, to: LIST_TARGET, target: 1 },
        ]),
        memoryRatio(runs.filter(({ peakMb }) => peakMb !== undefined)),
      ],
      notes: [
        `"${SENT}" is the request until its answer; "${LOADED}" from there until the repair job has ended; "${DECIDED}" from there until no dead letter waits for its outcome.`,
        ...runs
          .filter(({ cpuSeconds }) => cpuSeconds !== undefined)
          .map((run) => `Round ${run.round}, ${run.label}: ${microsecondsOf(run)} µs of CPU a record.`),
      ],
    };
  },
};

async function measuredRound(system: BenchSystem, round: number, rows: number): Promise<Run[]> {
  const { result: job, ...sending } = await system.measure(() =>
    system.profiled(async () => {
      const request = { filter: { dataset: DATASET, code: CODE }, reason: 'bench' };
      const answer = await system.client.resubmitDeadLetters(request);
      const [made] = answer.jobs;
      if (made === undefined || answer.resubmitted !== rows)
        throw new SluiceError('INTERNAL', `Not all were sent: ${JSON.stringify(answer)}`);
      return made.id;
    }),
  );
  const { result: _ended, ...loading } = await system.measure(() => untilEnded(system, job));
  const { result: _decided, ...deciding } = await system.measure(() => untilDecided(system));
  return [
    { label: SENT, round, rows, ...sending },
    { label: LOADED, round, rows, ...loading },
    { label: DECIDED, round, rows, ...deciding },
    { label: TARGET, round, rows, seconds: rows / TARGET_A_SECOND },
  ];
}

/** Of the job whose dead letters these are. @returns seconds at the 99th percentile */
async function jobPage(system: BenchSystem, job: string): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < REQUESTS; at++) {
    const beganAt = performance.now();
    await system.client.job(job);
    times.push((performance.now() - beganAt) / 1000);
  }
  return percentile(times, 0.99);
}

async function untilEnded(system: BenchSystem, job: string): Promise<void> {
  await eventually(
    async () => {
      const { rows } = await system.database.query<{ state: string }>(
        'SELECT state FROM sluice.job WHERE id = $1',
        [job],
      );
      const state = rows[0]?.state ?? 'gone';
      if (['failed', 'cancelled', 'gone'].includes(state))
        throw new SluiceError('INTERNAL', `The repair job is ${state}.`);
      return state === 'succeeded';
    },
    'the repair job to end',
    LONGEST_MS,
  );
}

async function untilDecided(system: BenchSystem): Promise<void> {
  await eventually(
    async () => {
      const waiting = `SELECT FROM sluice.dead_letter WHERE state = 'resubmitted' LIMIT 1`;
      return (await system.database.query(waiting)).rowCount === 0;
    },
    'all dead letters to be decided about',
    LONGEST_MS,
  );
}

/** Dead letters of a job that has succeeded, as the tracker stores them. */
async function fill(system: BenchSystem, job: string, rows: number, first: number): Promise<void> {
  const pool = createPool({ url: system.databaseUrl, applicationName: 'bench', maxConnections: 1 });
  try {
    const folds = foldsOver(pool);
    let letters: DeadLetter[] = [];
    let record = first;
    for (const line of recordsOf(rows)) {
      letters.push(deadLetter(job, record, line));
      record += 1;
      if (letters.length < DELIVERY) continue;
      await folds.indexDeadLetters(letters);
      letters = [];
    }
    await folds.indexDeadLetters(letters);
    await pool.query('VACUUM ANALYZE sluice.dead_letter');
  } finally {
    await pool.end();
  }
}

/** Records that the contract takes, but for one in REFUSED_AGAIN, whose number is too short. */
function* recordsOf(rows: number): Generator<string> {
  let rest = '';
  let heads = PROLOGUE.firstLine - 1;
  let made = 0;
  for (const chunk of registrations(Math.ceil(rows * (1 + SPARE_SHARE)) + 1, {
    defectShare: 0,
    repeatShare: 0,
  })) {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      heads -= 1;
      // A few records have line ends within quotes.
      if (heads >= 0 || line.split('"').length % 2 === 0) continue;
      made += 1;
      yield made % REFUSED_AGAIN === 0 ? line.replace(/,\d(\d{7}),/, ',$1,') : line;
      if (made === rows) return;
    }
  }
}

function deadLetter(job: string, record: number, line: string): DeadLetter {
  const bytes = Buffer.from(line);
  return {
    ...{ dataset: DATASET, job, batch: 0, record, line: record + 3 },
    ...{ byteStart: record * 200, byteEnd: record * 200 + bytes.length, stage: 'validate' },
    findings: [
      { code: CODE, field: '資本額', message: 'must be a whole number of dollars', severity: 'error' },
    ],
    ...{ sqlstate: null, attempt: 0, columns: PROLOGUE.columns, epoch: 1, bytes },
  };
}

function microsecondsOf({ rows, cpuSeconds = {} }: Run): string {
  const { bench: _measuring, client: _client, ...ofSystem } = cpuSeconds;
  const used = Object.entries(ofSystem).filter(([, seconds]) => seconds > 0);
  const sum = used.reduce((all, [, seconds]) => all + seconds, 0);
  const each = used.map(([name, seconds]) => `${name} ${((seconds * 1e6) / rows).toFixed(1)}`).join(', ');
  return `${((sum * 1e6) / rows).toFixed(1)} (${each})`;
}
