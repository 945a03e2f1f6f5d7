import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { finalizeJob, SHOPS } from '#test/support/finalizing.js';
import { type MergeDelete, MergeOracle, type MergeRecord } from '#test/support/merge-oracle.js';
import { type NestedOrder, type NestedTables, nestedTables } from '#test/support/nested-tables.js';
import { type Deletes, type RecordRows, StagedJobs, deletesOf } from '#test/support/staged-job.js';

/**
 * MJ5: orders with items, taxes and notes, four levels deep, against a plain model: rows that are found by the order's key
 * and rows that are found by their parents, with foreign keys that refuse, delete too, or are not there.
 */
const SEED = Number(process.env.TEST_SEED ?? randomInt(1_000_000));
const BUDGET_MS = 10_000;
const JOBS_EACH = 4;

let jobs: StagedJobs;
beforeAll(async () => {
  jobs = await StagedJobs.start();
});
afterAll(() => jobs.stop());

const seen = { inserted: 0, updated: 0, unchanged: 0, deleted: 0, superseded: 0, refused: 0, moved: 0 };

function randomOrders(random: SeededRandom): NestedOrder[] {
  const some = <T>(count: number, one: (at: number) => T): T[] =>
    Array.from({ length: random.below(count + 1) }, (_, at) => one(at));
  return Array.from({ length: 1 + random.below(8) }, () => ({
    no: String(1 + random.below(9)),
    version: 1 + random.below(3),
    name: random.pick(['n', 'N']),
    tags: some(2, () => random.pick(['t', 'u'])),
    items: [...new Set(some(3, () => 1 + random.below(25)))].map((id) => ({
      id: String(id),
      name: random.pick(['i', 'j']),
      taxes: some(2, () => ({
        rate: random.pick(['5', '7']),
        notes: some(2, () => random.pick(['x', 'y'])),
      })),
    })),
  }));
}

/** Numbers of items are columns of their own only where rows are found by them. */
function asRecord({ no, version, name, tags, items }: NestedOrder, tables: NestedTables): MergeRecord {
  const children = [
    ...tags.map((tag) => ({ tag })),
    ...items.map(({ id, name: of, taxes }, at) => ({
      id: tables.isChained ? id : String(at + 1),
      name: of,
      taxes: taxes.map(({ rate, notes }, nr) => [nr + 1, rate, [...notes].sort()]),
    })),
  ];
  return { key: no, version: tables.isVersioned ? version : 0, row: [name, version], children };
}

const comparable = (records: readonly MergeRecord[]): unknown[] =>
  records.map(({ key, row, children }) => [key, row, children.map((one) => JSON.stringify(one)).sort()]);

async function runOne(random: SeededRandom, tables: NestedTables, mode: WriteMode): Promise<void> {
  const orders = randomOrders(random);
  const before = await tables.present(jobs.pool);
  const oracle = new MergeOracle();
  oracle.append(before);
  const cut = random.below(orders.length);
  const takesDeletes = mode === 'upsert' && random.chance(0.6);
  const isDelete = orders.map(() => takesDeletes && random.chance(0.3));
  const versionOf = ({ version }: NestedOrder): number | null => (version === 1 ? null : version);
  const rows = orders.map((order, at): RecordRows | Deletes => {
    if (!isDelete[at]) return tables.rowsOf(order);
    const version = String(versionOf(order) ?? String.raw`\N`);
    return { deletes: tables.isVersioned ? [order.no, version] : [order.no] };
  });
  const id = await jobs.loadedRows(
    [rows.slice(0, cut), rows.slice(cut)],
    { mode, maxRefusedShare: 1, takesDeletes },
    tables.plan,
  );
  let wasNothingLoaded = false;
  try {
    const deletes = deletesOf(tables.plan);
    const dataset = { ...SHOPS, tables: tables.plan, ...(takesDeletes ? { deletes } : {}) };
    await finalizeJob(jobs, { dataset });
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'JOB_NOTHING_LOADED') throw error;
    wasNothingLoaded = true;
  }
  const refused = new Set(
    (await jobs.refusals(id)).flatMap(({ refusals }) => refusals.map(({ record }) => record)),
  );
  const idsOf = (record: MergeRecord | MergeDelete): string[] =>
    ('deletes' in record ? [] : record.children).flatMap((child) =>
      'id' in child ? [String(child.id)] : [],
    );
  const records = orders.map((order, at): MergeRecord | MergeDelete => {
    if (!isDelete[at]) return asRecord(order, tables);
    return { key: order.no, version: tables.isVersioned ? versionOf(order) : 0, deletes: true };
  });
  for (const at of refused) {
    const record = records[at]!;
    const others = records.filter((_, other) => other !== at);
    const repeats = mode !== 'upsert' && others.some(({ key }) => key === record.key);
    const held = [...others, ...before.filter(({ key }) => key !== record.key)].flatMap(idsOf);
    const clashes = tables.isChained && idsOf(record).some((one) => held.includes(one));
    expect({ at, hasReason: repeats || clashes }).toMatchObject({ hasReason: true });
  }
  const all = records.filter((_, at) => !refused.has(at));
  const merged = all.filter((record): record is MergeRecord => !('deletes' in record));
  const counts = mode === 'replace' ? null : mode === 'append' ? oracle.append(merged) : oracle.upsert(all);
  const expected = mode === 'replace' && merged.length > 0 ? merged : oracle.records();
  const present = await tables.present(jobs.pool);
  const byKey = [...expected].sort((a, b) => (a.key < b.key ? -1 : 1));
  expect(comparable(present)).toEqual(comparable(byKey));
  // None is left over that belongs to no order.
  expect(await tables.strays(jobs.pool)).toBe(0);
  seen.refused += refused.size;
  if (wasNothingLoaded) return;
  const end = await jobs.end(id);
  expect(end.state).toBe('succeeded');
  if (counts === null) return;
  expect(end.counts).toMatchObject({ ...counts, refusedAtLoad: refused.size });
  for (const fate of ['inserted', 'updated', 'unchanged', 'deleted', 'superseded'] as const)
    seen[fate] += counts[fate];
  const owners = (list: readonly MergeRecord[]): Map<string, string> =>
    new Map(list.flatMap((record) => idsOf(record).map((one) => [one, record.key])));
  const now = owners(present);
  for (const [item, owner] of owners(before))
    if (tables.isChained && now.has(item) && now.get(item) !== owner) seen.moved += 1;
}

it(
  `merges and replaces what stands in four levels as a plain model does (TEST_SEED=${SEED})`,
  async () => {
    const began = performance.now();
    let round = 0;
    for (; performance.now() - began < BUDGET_MS || round < 6; round++) {
      const random = new SeededRandom(SEED + round);
      const tables = nestedTables(random);
      await jobs.pool.query(tables.ddl);
      try {
        for (let job = 0; job < JOBS_EACH; job++) {
          await runOne(random, tables, random.pick(['append', 'upsert', 'upsert', 'upsert', 'replace']));
          await jobs.pool.query('DELETE FROM sluice.job');
        }
      } catch (error) {
        throw new Error(`Seed ${SEED + round}:\n${tables.ddl}`, { cause: error });
      }
    }
    expect(
      Math.min(seen.inserted, seen.updated, seen.deleted, seen.superseded, seen.refused),
    ).toBeGreaterThan(0);
  },
  BUDGET_MS + 60_000,
);
