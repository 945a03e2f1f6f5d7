import type pg from 'pg';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';
import type { SeededRandom } from '#core/dataset/generate.js';
import type { MergeRecord } from './merge-oracle.js';
import {
  type RandomTables,
  asRecord,
  randomCity,
  randomItems,
  randomKeyValues,
  randomName,
} from './random-tables.js';

/** What a key has after another writer's transaction: a record, or nothing. */
export type Written = MergeRecord | null;

/** Foreign key, unique index: the job was first. */
const LOST_TO_THE_JOB = new Set(['23503', '23505']);

/**
 * Another session that writes to random tables while a job is merged into them: inserts and replaces whole records, removes
 * them, and touches rows without changing what the contract fills.
 *
 * Each of its transactions fixes all of what a key has afterwards, whatever was there. So what became of a key can be
 * explained: the job came before, after or between two of the transactions that were committed.
 */
export class OtherWriter {
  /** By key: what each committed transaction left of it, in the order of the commits. */
  readonly history = new Map<string, Written[]>();
  private readonly over = new AbortController();
  private writing: Promise<void> = Promise.resolve();

  /** @param owns keys that no other writer changes, so that its own order is the order of the commits */
  constructor(
    private readonly pool: pg.Pool,
    private readonly tables: RandomTables,
    private readonly random: SeededRandom,
    private readonly owns: (key: string) => boolean,
  ) {}

  start(): void {
    this.writing = (async () => {
      while (!this.over.signal.aborted) await this.writeOnce();
    })();
  }

  async stop(): Promise<void> {
    this.over.abort();
    await this.writing;
  }

  private async writeOnce(): Promise<void> {
    const { random, tables, pool } = this;
    const left = new Map<string, Written>();
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      for (let more = 1 + random.below(3); more > 0; more--) {
        const values = randomKeyValues(random, tables);
        const names = tables.key.map(({ name }) => name);
        const key = [
          values[names.indexOf('number')],
          ...(['part', 'day'] as const)
            .filter((name) => names.includes(name))
            .map((name) => values[names.indexOf(name)]),
        ].join('|');
        if (!this.owns(key)) continue;
        if (random.chance(0.3)) await this.touch(client, values);
        else if (random.chance(0.4)) left.set(key, await this.remove(client, values));
        else left.set(key, await this.put(client, key, values));
      }
      await client.query('COMMIT');
      for (const [key, written] of left) {
        this.history.set(key, [...(this.history.get(key) ?? []), written]);
      }
    } catch (error) {
      await client.query('ROLLBACK');
      const passes = LOST_TO_THE_JOB.has(sqlstateOf(error) ?? '') || classifyDatabaseError(error) === 'retry';
      if (!passes) throw error;
    } finally {
      client.release();
    }
  }

  private async touch(client: pg.PoolClient, values: readonly string[]): Promise<void> {
    await client.query(`UPDATE public.shop SET note = 'touched' WHERE ${this.where('', 1)}`, [...values]);
  }

  private async remove(client: pg.PoolClient, values: readonly string[]): Promise<null> {
    await client.query(`SELECT FROM public.shop WHERE ${this.where('', 1)} FOR UPDATE`, [...values]);
    await client.query(`DELETE FROM public.sale WHERE ${this.where('shop_', 1)}`, [...values]);
    await client.query(`DELETE FROM public.shop WHERE ${this.where('', 1)}`, [...values]);
    return null;
  }

  private async put(client: pg.PoolClient, key: string, values: readonly string[]): Promise<MergeRecord> {
    const { random, tables } = this;
    const names = tables.key.map(({ name }) => name);
    const [name, city, items] = [randomName(random), randomCity(random), randomItems(random)];
    const places = values.map((_, at) => `$${at + 1}`).join(', ');
    const next = values.length + 1;
    await client.query(
      `INSERT INTO public.shop (${names.join(', ')}, name, city) VALUES (${places}, $${next}, $${next + 1})
       ON CONFLICT (${names.join(', ')}) DO UPDATE SET name = excluded.name, city = excluded.city`,
      [...values, name, city],
    );
    await client.query(`DELETE FROM public.sale WHERE ${this.where('shop_', 1)}`, [...values]);
    const { copiesCity } = tables;
    await client.query(
      `INSERT INTO public.sale (${names.map((column) => `shop_${column}`).join(', ')}, item ${copiesCity ? ', shop_city' : ''})
       SELECT ${this.typed()}, item ${copiesCity ? `, $${next + 1}::text` : ''} FROM unnest($${next}::text[]) AS item`,
      [...values, items, ...(copiesCity ? [city] : [])],
    );
    const parts = key.split('|');
    return asRecord({ number: parts[0] ?? '', more: parts.slice(1), name, city, items }, tables);
  }

  private typed(): string {
    return this.tables.key.map(({ type }, at) => `$${at + 1}::${type.replace(/ COLLATE .*/, '')}`).join(', ');
  }

  private where(prefix: string, first: number): string {
    return this.tables.key.map(({ name }, at) => `${prefix}${name} = $${first + at}`).join(' AND ');
  }
}
