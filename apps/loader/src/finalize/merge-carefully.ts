import type { PoolClient } from 'pg';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { RECORD_COLUMN, columnList } from '#core/staging/staging-names.js';
import { MergeStopped, type RefusedRecord, isRecordsFault, reasonOf } from './merge-faults.js';
import { ARRIVING, FATE, type MergedTables } from './merge-sql.js';
import { type Written, writeJudged } from './merge-write.js';

const FIRST_SIZE = 1_000;

/** The record's place in `pg_temp.trial`, and why it was refused. The errors themselves may be too many to keep. */
interface Refusal {
  readonly seq: number;
  readonly message: string;
  readonly sqlstate: string;
  readonly constraint: string | null;
}

interface Run {
  readonly refused: Refusal[];
  readonly written: Written;
}

/**
 * Writes in parts, each in a savepoint: a part that is refused is cut in half, down to one record, and parts grow again
 * behind it. So every record is written, or known to be refused for itself.
 *
 * Records that were refused are tried again when others have been written, until none of them passes: a row may have
 * waited for one that comes later in the order of the keys. When all have passed in the end, this was the merge.
 * @throws MergeStopped `refused`: the caller's transaction has to be rolled back
 */
export async function writeCarefully(client: PoolClient, tables: MergedTables): Promise<Written> {
  await client.query(`
    CREATE TEMP TABLE trial ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY ${columnList(tables.main.plan.key)}) AS seq, ${RECORD_COLUMN} AS record
    FROM ${ARRIVING} WHERE ${FATE} IN ('i', 'u', 'c', 'x')`);
  await client.query('CREATE INDEX ON pg_temp.trial (seq)');
  for (const list of [ARRIVING, ...tables.children.map((child) => child.list)]) {
    await client.query(`CREATE INDEX ON ${list} (${RECORD_COLUMN})`);
  }
  await client.query('ANALYZE pg_temp.trial');
  const { rows } = await client.query<{ count: string }>('SELECT count(*) AS count FROM pg_temp.trial');
  const all = Number(rows[0]?.count ?? 0);
  let written = NOTHING_WRITTEN;
  let ranges: readonly (readonly [number, number])[] = all === 0 ? [] : [[1, all]];
  for (;;) {
    const run = await writeRanges(client, tables, ranges);
    written = together(written, run.written);
    if (run.refused.length === 0 || written.shortfall !== null) {
      await client.query('DROP TABLE pg_temp.trial');
      return written;
    }
    const tried = ranges.reduce((total, [from, to]) => total + to - from + 1, 0);
    if (run.refused.length === tried) {
      throw new MergeStopped({ kind: 'refused', records: await recordsOf(client, run.refused) });
    }
    ranges = run.refused.map(({ seq }) => [seq, seq]);
  }
}

async function writeRanges(
  client: PoolClient,
  tables: MergedTables,
  ranges: readonly (readonly [number, number])[],
): Promise<Run> {
  const refused: Refusal[] = [];
  let written = NOTHING_WRITTEN;
  let size = FIRST_SIZE;
  for (const [first, last] of ranges) {
    for (let from = first; from <= last;) {
      const to = Math.min(last, from + size - 1);
      await client.query('SAVEPOINT part; SET CONSTRAINTS ALL DEFERRED');
      try {
        written = together(written, await writeJudged(client, tables, { from, to }));
        await client.query('RELEASE part');
      } catch (error) {
        if (!isRecordsFault(error)) throw error;
        await client.query('ROLLBACK TO part; RELEASE part');
        if (to > from) {
          size = Math.max(1, Math.floor((to - from + 1) / 2));
          continue;
        }
        const { constraint = null } = error as { constraint?: string };
        refused.push({ seq: from, message: reasonOf(error), sqlstate: sqlstateOf(error) ?? '', constraint });
      }
      if (written.shortfall !== null) return { refused, written };
      from = to + 1;
      size = Math.min(FIRST_SIZE, size * 2);
    }
  }
  return { refused, written };
}

async function recordsOf(client: PoolClient, refused: readonly Refusal[]): Promise<RefusedRecord[]> {
  const { rows } = await client.query<{ seq: string; record: string }>(
    'SELECT seq, record FROM pg_temp.trial WHERE seq = ANY($1)',
    [refused.map(({ seq }) => seq)],
  );
  const records = new Map(rows.map(({ seq, record }) => [Number(seq), Number(record)]));
  return refused.flatMap(({ seq, message, sqlstate, constraint }) => {
    const record = records.get(seq);
    return record === undefined ? [] : [{ record, message, sqlstate, constraint }];
  });
}

const NOTHING_WRITTEN: Written = { inserted: 0, updated: 0, deleted: 0, children: [], shortfall: null };

function together(one: Written, other: Written): Written {
  const length = Math.max(one.children.length, other.children.length);
  return {
    inserted: one.inserted + other.inserted,
    updated: one.updated + other.updated,
    deleted: one.deleted + other.deleted,
    children: Array.from({ length }, (_, index) => ({
      inserted: (one.children[index]?.inserted ?? 0) + (other.children[index]?.inserted ?? 0),
      deleted: (one.children[index]?.deleted ?? 0) + (other.children[index]?.deleted ?? 0),
    })),
    shortfall: one.shortfall ?? other.shortfall,
  };
}
