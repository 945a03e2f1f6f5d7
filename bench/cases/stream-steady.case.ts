import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SluiceError } from '#common/errors/sluice-error.js';
import { writePublishedForm } from '../baselines/extract.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import { type Latency, type Rate, latenciesOf, latencyAt, sendSteadily } from '../streams/steady-load.js';
import { SteadyRecords } from '../streams/steady-records.js';
import { type Cost, costOf } from '../system/cost.js';
import { SEED, type StreamPlace, withStream } from './stream-place.js';

interface Pace {
  readonly label: string;
  readonly recordsPerSecond: number;
  /** A range is closed at this age. */
  readonly maxMs: number;
  /** In that many windows, each with its own peak of memory. */
  readonly windows: number;
  readonly secondsAWindow: number;
  /** What is prepared and compiled with the first jobs is done once a day. */
  readonly warmUpSeconds: number;
  /** Seconds that this share of the records must not exceed. */
  readonly targets: Readonly<Record<string, { readonly share: number; readonly seconds: number }>>;
}

const P50 = 'p50';
const P99 = 'p99';
const LONGEST = 'longest';

const PACES: readonly Pace[] = [
  {
    ...{
      label: '2,000/s, batches of 1 s',
      recordsPerSecond: 2_000,
      maxMs: 1_000,
      windows: 1,
      secondsAWindow: 60,
      warmUpSeconds: 5,
    },
    targets: { [P50]: { share: 0.5, seconds: 0.9 }, [P99]: { share: 0.99, seconds: 1.5 } },
  },
  {
    ...{
      label: '2,000/s, batches of 200 ms',
      recordsPerSecond: 2_000,
      maxMs: 200,
      windows: 1,
      secondsAWindow: 60,
      warmUpSeconds: 5,
    },
    targets: { [P99]: { share: 0.99, seconds: 0.5 } },
  },
  {
    ...{
      label: '20,000/s, batches of 1 s',
      recordsPerSecond: 20_000,
      maxMs: 1_000,
      windows: 10,
      secondsAWindow: 60,
      warmUpSeconds: 5,
    },
    targets: { [LONGEST]: { share: 1, seconds: 3 } },
  },
];

/** Whether it runs at all. */
const TRIAL = { windows: 1, secondsAWindow: 0.2, warmUpSeconds: 0.2 };
/** New rows for all paces: 5 % of what is sent. */
const NEW_SHARE = 0.05;

/** Records that arrive at a steady rate, as a producer sends them all day: how long each takes to be visible. */
export const streamSteady: BenchCase = {
  name: 'stream-steady',
  about:
    'a stream at 2,000 and at 20,000 records a second into full tables: from produced to visible, and memory',
  defaultRows: 1_600_000,
  async run(bench) {
    const paces = PACES.map((pace) => (bench.isTrial ? { ...pace, ...TRIAL } : pace));
    const sent = paces.reduce(
      (sum, each) => sum + each.recordsPerSecond * each.windows * each.secondsAWindow,
      0,
    );
    const file = join(bench.folder, 'steady.csv');
    await writePublishedForm(file, {
      rows: bench.rows + Math.ceil(sent * NEW_SHARE),
      ...{ seed: SEED, date: '01-SEP-26' },
    });
    const records = await SteadyRecords.of(file, bench.rows);
    return withStream(bench, async (place) => {
      const runs: Run[] = [];
      const questions: RatioQuestion[] = [];
      for (const pace of paces) {
        bench.say(pace.label);
        const { latencies, costs } = await measured(place, records, pace);
        runs.push(...costs);
        for (const [name, { share, seconds }] of Object.entries(pace.targets)) {
          const of = `${pace.label}: ${name}`;
          const to = `${pace.label}: target of ${name}`;
          runs.push({ label: of, round: 1, rows: bench.rows, seconds: latencyAt(latencies, share) / 1000 });
          runs.push({ label: to, round: 1, rows: bench.rows, seconds });
          questions.push({ name: `${of} to ${seconds} s`, of, to, target: 1 });
        }
      }
      await assertAllThere(place, records);
      return {
        ...{ name: 'stream-steady', rows: bench.rows, runs, ratios: ratiosOf(runs, questions) },
        notes: [
          'Of 20 records one is new, three change a row, and sixteen say what is there already.',
          'From the moment at which a record was to be sent to the last statement before COMMIT of its job.',
          'Seconds of a pace by itself are the 99th percentile of each of its windows; the producer runs on the same cores.',
          'The table held the row and the capital of every record afterwards, compared by their sums.',
        ],
      };
    });
  },
};

async function measured(
  { place: { system }, inbox }: StreamPlace,
  records: SteadyRecords,
  pace: Pace,
): Promise<{ latencies: Latency[]; costs: Run[] }> {
  await inbox.start({ maxMs: pace.maxMs });
  const rate: Rate = { recordsPerSecond: pace.recordsPerSecond, seconds: pace.secondsAWindow };
  await inbox.ended(
    await inbox.newest(),
    await sendSteadily(inbox, records, { ...rate, seconds: pace.warmUpSeconds }),
  );
  const before = await inbox.newest();
  const windows: (Cost & { readonly endedAt: number })[] = [];
  const sending = sendSteadily(inbox, records, { ...rate, seconds: pace.windows * pace.secondsAWindow });
  // It is awaited below.
  sending.catch(() => undefined);
  for (let window = 1; window <= pace.windows; window++) {
    const { cpuSeconds, peakMb } = await costOf(() => delay(pace.secondsAWindow * 1000), system.processes);
    windows.push({ cpuSeconds, peakMb, endedAt: Date.now() });
  }
  const produced = await sending;
  const jobs = await inbox.ended(before, produced);
  const costs = windows.map(({ endedAt, ...cost }, window) => {
    const beganAt = windows[window - 1]?.endedAt ?? 0;
    const own = latenciesOf(
      produced.filter(({ at }) => at >= beganAt && at < endedAt),
      jobs,
    );
    const seconds = latencyAt(own, 0.99) / 1000;
    return { label: pace.label, round: window + 1, rows: rowsOf(own), seconds, ...cost };
  });
  return { latencies: latenciesOf(produced, jobs), costs };
}

function rowsOf(latencies: readonly Latency[]): number {
  return latencies.reduce((sum, { records }) => sum + records, 0);
}

/** @throws SluiceError INTERNAL when the table is not what the records make of it */
async function assertAllThere({ place: { system } }: StreamPlace, records: SteadyRecords): Promise<void> {
  const { rows } = await system.database.query<{ rows: number; sum: number }>(
    'SELECT count(*)::float8 AS rows, sum(capital_amount)::float8 AS sum FROM public.tax_registration',
  );
  const expected = { rows: records.rows, sum: records.sumOfCapital };
  if (rows[0]?.rows === expected.rows && rows[0].sum === expected.sum) return;
  throw new SluiceError(
    'INTERNAL',
    `The table holds ${JSON.stringify(rows[0])} and the records make ${JSON.stringify(expected)} of it.`,
  );
}
