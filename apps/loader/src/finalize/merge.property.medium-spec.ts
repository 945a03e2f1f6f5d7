import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { SluiceError } from '#common/errors/sluice-error.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { finalizeJob } from '#test/support/finalizing.js';
import { type MergeDelete, MergeOracle, type MergeRecord } from '#test/support/merge-oracle.js';
import {
  RANDOM_TABLES_NEED,
  type RandomTables,
  asDelete,
  asRecord,
  comparable,
  keyOf,
  presentRecords,
  randomDelete,
  randomRecords,
  randomTables,
} from '#test/support/random-tables.js';
import { type Deletes, type Shop, StagedJobs, deletesOf } from '#test/support/staged-job.js';

/**
 * Random tables and modes, against a plain model (other writers: merge-writers.property.medium-spec.ts). What is refused is
 * taken from the product and has to have a reason in the table's own rules; all the others must be in the tables, and in
 * the counts, as the model has them.
 */
const SEED = Number(process.env.TEST_SEED ?? randomInt(1_000_000));
const BUDGET_MS = 8_000;
const JOBS_EACH = 3;
let seenDeleted = 0;

let jobs: StagedJobs;
beforeAll(async () => {
  jobs = await StagedJobs.start();
  await jobs.pool.query(RANDOM_TABLES_NEED);
});
afterAll(() => jobs.stop());

async function runOne(random: SeededRandom, tables: RandomTables): Promise<void> {
  const mode = random.pick(tables.modes);
  const takesDeletes = mode === 'upsert' && random.chance(0.6);
  const written = randomRecords(random, tables);
  const records = written.flatMap((record): (Shop | Deletes)[] => {
    const mixed = takesDeletes && random.chance(0.4) ? [record, randomDelete(random, tables)] : [record];
    return random.chance(0.5) ? mixed : mixed.reverse();
  });
  const before = await presentRecords(jobs.pool, tables);
  const oracle = new MergeOracle();
  oracle.append(before);
  const cut = random.below(records.length);
  const batches = [records.slice(0, cut), records.slice(cut)];
  const starting = jobs.loaded(batches, { mode, maxRefusedShare: 1, takesDeletes }, tables.dataset.tables);
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
    const deletes = deletesOf(tables.dataset.tables);
    await finalizeJob(jobs, { dataset: { ...tables.dataset, ...(takesDeletes ? { deletes } : {}) } });
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
    if ('deletes' in record) throw new Error(`Delete ${at} was refused.`);
    const others = [
      ...records
        .filter((other, place): other is Shop => place !== at && !('deletes' in other))
        .map((other) => ({ key: keyOf(other), name: other.name })),
      ...before.map(({ key, row }) => ({ key, name: (row as string[])[0]! })),
    ];
    const repeats = mode !== 'upsert' && others.some(({ key }) => key === keyOf(record));
    const { once } = tables;
    const clashes = once !== null && others.some(({ name }) => once(name) === once(record.name));
    expect({ at, field, hasReason: repeats || clashes }).toMatchObject({ hasReason: true });
  }
  const merged = accepted.flatMap((record) => ('deletes' in record ? [] : [asRecord(record, tables)]));
  const all = accepted.map((record) =>
    'deletes' in record ? asDelete(record, tables) : asRecord(record, tables),
  );
  if (mode === 'upsert') cutAnywhere(random, tables, before, all);
  const counts = mode === 'replace' ? null : mode === 'append' ? oracle.append(merged) : oracle.upsert(all);
  seenDeleted += counts?.deleted ?? 0;
  const expected = mode === 'replace' && accepted.length > 0 ? merged : oracle.records();
  expect(await strays(tables)).toBe(0);
  expect(comparable(await presentRecords(jobs.pool, tables))).toEqual(comparable(expected));
  expect(wasNothingLoaded).toBe(accepted.length === 0);
  if (wasNothingLoaded) return;
  const end = await jobs.end(id);
  expect(end.state).toBe('succeeded');
  if (counts !== null) expect(end.counts).toMatchObject({ ...counts, refusedAtLoad: refused.size });
}

/** MJ6: where no delete has a version, two jobs come to the same as one, wherever the records are divided. */
function cutAnywhere(
  random: SeededRandom,
  { versioned }: RandomTables,
  before: readonly MergeRecord[],
  records: readonly (MergeRecord | MergeDelete)[],
): void {
  if (versioned && records.some((record) => 'deletes' in record && record.version !== null)) return;
  const [one, two] = [new MergeOracle(), new MergeOracle()];
  for (const oracle of [one, two]) oracle.append(before);
  const cut = random.below(records.length + 1);
  one.upsert(records);
  for (const part of [records.slice(0, cut), records.slice(cut)]) two.upsert(part);
  expect(one.records()).toEqual(two.records());
}

/** Rows of the child table whose parent is not there. */
async function strays({ key }: RandomTables): Promise<number> {
  const link = key.map(({ name }) => `shop_${name} = ${name}`).join(' AND ');
  const { rows } = await jobs.pool.query<{ count: string }>(
    `SELECT count(*) FROM public.sale WHERE NOT EXISTS (SELECT FROM public.shop WHERE ${link})`,
  );
  return Number(rows[0]?.count);
}

it(
  `merges and replaces as a plain model does, for all tables and keys (TEST_SEED=${SEED})`,
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
    expect(seenDeleted).toBeGreaterThan(0);
  },
  BUDGET_MS + 30_000,
);
