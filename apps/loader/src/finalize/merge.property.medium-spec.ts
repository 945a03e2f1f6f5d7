import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { SluiceError } from '#common/errors/sluice-error.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { finalizeJob } from '#test/support/finalizing.js';
import { MergeOracle } from '#test/support/merge-oracle.js';
import {
  RANDOM_TABLES_NEED,
  type RandomTables,
  asRecord,
  comparable,
  keyOf,
  presentRecords,
  randomRecords,
  randomTables,
} from '#test/support/random-tables.js';
import { StagedJobs } from '#test/support/staged-job.js';

/**
 * Random tables and modes, against a plain model (other writers: merge-writers.property.medium-spec.ts). What is refused is
 * taken from the product and has to have a reason in the table's own rules; all the others must be in the tables, and in
 * the counts, as the model has them.
 */
const SEED = Number(process.env.TEST_SEED ?? randomInt(1_000_000));
const BUDGET_MS = 8_000;
const JOBS_EACH = 3;

let jobs: StagedJobs;
beforeAll(async () => {
  jobs = await StagedJobs.start();
  await jobs.pool.query(RANDOM_TABLES_NEED);
});
afterAll(() => jobs.stop());

async function runOne(random: SeededRandom, tables: RandomTables): Promise<void> {
  const records = randomRecords(random, tables);
  const mode = random.pick(tables.modes);
  const before = await presentRecords(jobs.pool, tables);
  const oracle = new MergeOracle();
  oracle.append(before);
  const cut = random.below(records.length);
  const batches = [records.slice(0, cut), records.slice(cut)];
  const starting = jobs.loaded(batches, { mode, maxRefusedShare: 1 }, tables.dataset.tables);
  if (tables.nullable !== null && mode !== 'replace') {
    await expect(starting).rejects.toMatchObject({
      code: 'TARGET_CANNOT_BE_MERGED',
      message: expect.stringContaining(`key column ${tables.nullable} of public."shop" may be null`),
    });
    return;
  }
  const id = await starting;
  let wasNothingLoaded = false;
  try {
    await finalizeJob(jobs, { dataset: tables.dataset });
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'JOB_NOTHING_LOADED') throw error;
    wasNothingLoaded = true;
  }
  const refused = new Map(
    (await jobs.refusals(id)).flatMap(({ refusals }) =>
      refusals.map(({ record, findings }) => [record, findings[0]?.field ?? '']),
    ),
  );
  const accepted = records.filter((_, at) => !refused.has(at));
  for (const [at, field] of refused) {
    const record = records[at]!;
    const others = [
      ...records.filter((_, other) => other !== at).map((other) => ({ key: keyOf(other), name: other.name })),
      ...before.map(({ key, row }) => ({ key, name: (row as string[])[0]! })),
    ];
    const repeats = mode !== 'upsert' && others.some(({ key }) => key === keyOf(record));
    const { once } = tables;
    const clashes = once !== null && others.some(({ name }) => once(name) === once(record.name));
    expect({ at, field, hasReason: repeats || clashes }).toMatchObject({ hasReason: true });
  }
  const merged = accepted.map((record) => asRecord(record, tables));
  const counts =
    mode === 'replace' ? null : mode === 'append' ? oracle.append(merged) : oracle.upsert(merged);
  const expected = mode === 'replace' && accepted.length > 0 ? merged : oracle.records();
  expect(comparable(await presentRecords(jobs.pool, tables))).toEqual(comparable(expected));
  expect(wasNothingLoaded).toBe(accepted.length === 0);
  if (wasNothingLoaded) return;
  const end = await jobs.end(id);
  expect(end.state).toBe('succeeded');
  if (counts !== null) expect(end.counts).toMatchObject({ ...counts, refusedAtLoad: refused.size });
}

it(
  `merges and replaces as a plain model does, whatever the tables and their keys (TEST_SEED=${SEED})`,
  async () => {
    const began = performance.now();
    for (let round = 0; performance.now() - began < BUDGET_MS; round++) {
      const random = new SeededRandom(SEED + round);
      const tables = randomTables(random);
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
  BUDGET_MS + 30_000,
);
