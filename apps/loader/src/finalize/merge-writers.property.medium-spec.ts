import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { SluiceError } from '#common/errors/sluice-error.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { unexplained } from '#test/support/explained-merge.js';
import { claimJob, finalizeJob } from '#test/support/finalizing.js';
import { OtherWriter, type Written } from '#test/support/other-writers.js';
import {
  RANDOM_TABLES_NEED,
  type RandomTables,
  asDelete,
  asRecord,
  keyOf,
  presentRecords,
  randomDelete,
  randomRecords,
  randomTables,
} from '#test/support/random-tables.js';
import { type Deletes, type Shop, StagedJobs, deletesOf } from '#test/support/staged-job.js';
import { FINALIZING_ATTEMPTS_AGAINST_OTHERS } from '../faults/job-faults.js';
import type { FinalizedDataset } from './finalizing-job.js';

/**
 * Random tables, while two other sessions insert, replace, remove and touch records of the same keys all the time. Tables,
 * writers and jobs are a function of the seed; how they interleave is not.
 */
const SEED = Number(process.env.TEST_SEED ?? randomInt(1_000_000));
const BUDGET_MS = 10_000;
const JOBS_EACH = 3;

let jobs: StagedJobs;
beforeAll(async () => {
  jobs = await StagedJobs.start();
  await jobs.pool.query(RANDOM_TABLES_NEED);
});
afterAll(() => jobs.stop());

/** As a loader does it: what other writers stand in the way of passes, and the step is done again. */
async function finalizeAgainstOthers(dataset: FinalizedDataset): Promise<void> {
  const job = await claimJob(jobs);
  for (let attempt = 1; ; attempt++) {
    try {
      await finalizeJob(jobs, { dataset, job });
      return;
    } catch (error) {
      const isRaced = error instanceof SluiceError && error.code === 'MERGE_RACED';
      const passes = isRaced || classifyDatabaseError(error) === 'retry';
      if (!passes || attempt === FINALIZING_ATTEMPTS_AGAINST_OTHERS) throw error;
    }
  }
}

async function runOne(random: SeededRandom, tables: RandomTables): Promise<void> {
  const mode = random.pick(['append', 'upsert'] as const);
  const takesDeletes = mode === 'upsert' && random.chance(0.5);
  const records = randomRecords(random, tables).map((record): Shop | Deletes =>
    takesDeletes && random.chance(0.4) ? randomDelete(random, tables) : record,
  );
  const before = await presentRecords(jobs.pool, tables);
  const id = await jobs.loaded([records], { mode, maxRefusedShare: 1, takesDeletes }, tables.dataset.tables);
  // Each key belongs to one of the writers.
  const isOdd = (key: string): boolean =>
    Array.from(key).reduce((sum, char) => sum + char.charCodeAt(0), 0) % 2 === 1;
  const writers = [isOdd, (key: string) => !isOdd(key)].map(
    (owns) => new OtherWriter(jobs.pool, tables, new SeededRandom(random.below(1_000_000)), owns),
  );
  let wasNothingLoaded = false;
  for (const writer of writers) writer.start();
  try {
    const deletes = deletesOf(tables.dataset.tables);
    await finalizeAgainstOthers(takesDeletes ? { ...tables.dataset, deletes } : tables.dataset);
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'JOB_NOTHING_LOADED') throw error;
    wasNothingLoaded = true;
  } finally {
    for (const writer of writers) await writer.stop();
  }
  const history = new Map(writers.flatMap((writer) => [...writer.history]));
  const refusals = (await jobs.refusals(id)).flatMap((batch) => batch.refusals);
  for (const refusal of refusals) {
    const isRight = hasReason(refusal.record, records, before, history, tables, mode);
    const shop = records[refusal.record];
    expect(isRight ? null : { ...refusal, shop, history: [...history] }).toBeNull();
  }
  const refused = new Set(refusals.map(({ record }) => record));
  const accepted = records
    .filter((_, at) => !refused.has(at))
    .map((record) => ('deletes' in record ? asDelete(record, tables) : asRecord(record, tables)));
  const { state, counts } = await jobs.end(id);
  expect({ state, wasNothingLoaded }).toEqual({
    state: accepted.length === 0 ? 'finalizing' : 'succeeded',
    wasNothingLoaded: accepted.length === 0,
  });
  if (wasNothingLoaded) return;
  const after = await presentRecords(jobs.pool, tables);
  expect(unexplained({ mode, before, records: accepted, history, after, counts: counts! })).toEqual([]);
}

/** A record is refused for another of the job, or for a row of another key that stood in the table at some time. */
function hasReason(
  at: number,
  records: readonly (Shop | Deletes)[],
  before: Awaited<ReturnType<typeof presentRecords>>,
  history: ReadonlyMap<string, readonly Written[]>,
  { once }: RandomTables,
  mode: 'append' | 'upsert',
): boolean {
  const record = records[at]!;
  if ('deletes' in record) return false;
  const others = records.filter((other, place): other is Shop => place !== at && !('deletes' in other));
  if (mode === 'append' && others.some((other) => keyOf(other) === keyOf(record))) return true;
  if (once === null) return false;
  const stood = [...before, ...[...history.values()].flat()].flatMap((row) =>
    row === null || (mode === 'upsert' && row.key === keyOf(record)) ? [] : [(row.row as string[])[0]!],
  );
  return [...others.map(({ name }) => name), ...stood].some((name) => once(name) === once(record.name));
}

it(
  `merges beside writers of the same keys as if it came before or after each of them (TEST_SEED=${SEED})`,
  async () => {
    const began = performance.now();
    for (let round = 0; performance.now() - began < BUDGET_MS; round++) {
      const random = new SeededRandom(SEED + round);
      const tables = randomTables(random);
      if (tables.nullable !== null) continue;
      await jobs.pool.query(tables.ddl);
      try {
        for (let job = 0; job < JOBS_EACH; job++) {
          await runOne(random, tables);
          await jobs.pool.query('DELETE FROM sluice.job');
        }
      } catch (error) {
        throw new Error(`Seed ${SEED + round}:\n${tables.ddl}`, { cause: error });
      }
    }
  },
  BUDGET_MS + 60_000,
);
