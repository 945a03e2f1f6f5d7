/**
 * The four ways of loading the registrations with psql that Sluice is measured against. Each ends with the tables that
 * the migrations describe, filled, indexed and analyzed.
 *
 * - BE1: what an expert would do who knows the rows to be good; nothing is made slow on purpose, nothing that Sluice does
 *   for safety is asked of them. So they load what they like in as many transactions as they like, and no reader is
 *   thought of.
 * - BE2: rows come from the disk of the same machine, warm in its cache; they have no HTTP, no Kafka.
 * - BE3: what is made ready outside the clock: empty tables (bare ones where the way begins with bare ones), and the
 *   cleaned files, where the way begins with cleaned rows.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FinalizeConfig } from '../../apps/loader/src/finalize/finalize.config.js';
import type { BaselineDatabase } from './baseline-database.js';
import type { CleanedFile } from './cleaned-files.js';
import { type Psql, type SessionSettings, copyFrom } from './psql.js';
import {
  type TableDefinitions,
  attachStatements,
  createStatements,
  dropStatements,
} from './table-definitions.js';

/** What a way has to load, and where. */
export interface BaselineRun {
  readonly psql: Psql;
  /** Of the migrated tables. */
  readonly definitions: TableDefinitions;
  /** In the publisher's form; see `writePublishedForm`. */
  readonly rawFile: string;
  /** Parents before children. */
  readonly cleaned: readonly CleanedFile[];
  readonly indexing: Indexing;
}

export interface Indexing {
  readonly connections: number;
  /** Of each of them. */
  readonly maintenanceWorkMem: string;
}

/** What a loader allows itself where it builds indexes, without settings. */
export function loaderIndexing(): Indexing {
  const { indexConnections: connections, maintenanceWorkMem } = new FinalizeConfig();
  return { connections, maintenanceWorkMem };
}

export interface Baseline {
  readonly label: string;
  readonly about: string;
  /** Begins with tables without keys, indexes and foreign keys. */
  readonly fromBareTables: boolean;
  /** What the clock runs for. */
  readonly load: (run: BaselineRun) => Promise<void>;
}

const SQL = join(import.meta.dirname, 'sql');

export const INDEXED: Baseline = {
  label: 'psql-indexed',
  about: '\\copy of cleaned rows into the indexed tables',
  fromBareTables: false,
  load: ({ psql, cleaned }) => psql.run('indexed', copyAll(cleaned) + analyze(cleaned)),
};

export const CLEANING: Baseline = {
  label: 'psql-cleaning',
  about: '\\copy of the raw file into an unlogged text table, cleaning in SQL, then keys and indexes',
  fromBareTables: true,
  load: async ({ psql, rawFile, definitions, cleaned }) => {
    const [table, cleaning] = await Promise.all(
      ['raw-table.sql', 'cleaning.sql'].map((name) => readFile(join(SQL, name), 'utf8')),
    );
    const copy = `\\copy raw_extract FROM '${rawFile}' WITH (FORMAT csv, HEADER true)\n`;
    await psql.run(
      'cleaning',
      [table, copy, cleaning, statements(createStatements(definitions)), analyze(cleaned)].join('\n'),
    );
  },
};

export const BARE: Baseline = {
  label: 'psql-bare',
  about: '\\copy of cleaned rows into bare tables, then keys and indexes',
  fromBareTables: true,
  load: ({ psql, definitions, cleaned }) =>
    psql.run('bare', copyAll(cleaned) + statements(createStatements(definitions)) + analyze(cleaned)),
};

/** Copies are not waited for as a whole: a table's indexes are begun when its rows are in. */
export const EVERYTHING: Baseline = {
  label: 'psql-everything',
  about: 'the same with what Sluice allows itself: several connections, and memory for building indexes',
  fromBareTables: true,
  load: async ({ psql, definitions, cleaned, indexing }) => {
    const settings = { maintenance_work_mem: indexing.maintenanceWorkMem };
    const side = new SideBySide(psql, Math.max(indexing.connections, cleaned.length), settings);
    await Promise.all(
      cleaned.map(async (file) => {
        await side.run(`copy-${file.table}`, copyAll([file]));
        const indexes = [
          ...definitions.keys.map(({ table, createIndex }) => ({ table, create: createIndex })),
          ...definitions.indexes,
        ].filter(({ table }) => table === file.table);
        await Promise.all(indexes.map(({ create }) => side.run('index', statements([create]))));
      }),
    );
    await psql.run('attach', statements(attachStatements(definitions)) + analyze(cleaned), settings);
  },
};

export const BASELINES: readonly Baseline[] = [INDEXED, CLEANING, BARE, EVERYTHING];

/** Makes the database again, with nothing in it but the tables that the way begins with (BE3). */
export async function prepare(baseline: Baseline, database: BaselineDatabase): Promise<TableDefinitions> {
  await database.reset();
  const definitions = await database.definitions();
  if (baseline.fromBareTables) await database.query(statements(dropStatements(definitions)));
  return definitions;
}

/** At most N psql processes at a time, in the order in which they were asked for. */
class SideBySide {
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly psql: Psql,
    private free: number,
    private readonly settings: SessionSettings,
  ) {}

  async run(name: string, script: string): Promise<void> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      await this.psql.run(name, script, this.settings);
    } finally {
      // The first that waits takes this place over, before any that comes now.
      const next = this.waiting.shift();
      if (next === undefined) this.free += 1;
      else next();
    }
  }
}

function copyAll(files: readonly CleanedFile[]): string {
  return files.map(({ table, columns, path }) => copyFrom(`public.${table}`, columns, path)).join('');
}

function analyze(files: readonly CleanedFile[]): string {
  return statements([`ANALYZE ${files.map(({ table }) => `public.${table}`).join(', ')}`]);
}

function statements(list: readonly string[]): string {
  return list.map((statement) => `${statement};\n`).join('');
}
