import { join } from 'node:path';
import type pg from 'pg';
import { BARE, loaderIndexing, prepare } from '../baselines/baselines.js';
import { DATASET } from '../baselines/baseline-database.js';
import { writeCleaned } from '../baselines/cleaned-files.js';
import { writePublishedForm } from '../baselines/extract.js';
import { Psql } from '../baselines/psql.js';
import type { Bench } from '../bench-case.js';
import { Inbox } from '../system/inbox.js';
import { RegistrationSystem } from './registration-system.js';
import { openClient } from '../system/open-client.js';

export const SEED = 1;

/** What a case of streams measures with: full tables, an inbox, and a plain connection to tables that hold the same. */
export interface StreamPlace {
  readonly place: RegistrationSystem;
  readonly inbox: Inbox;
  readonly plain: pg.Client;
}

/** Fills the tables, runs the case, and leaves neither rows nor a running stream. */
export async function withStream<T>(bench: Bench, work: (place: StreamPlace) => Promise<T>): Promise<T> {
  const system = await bench.system();
  const place = new RegistrationSystem(system);
  await place.warmUp(bench);
  await place.clear();
  const table = join(bench.folder, 'table.csv');
  await writePublishedForm(table, { rows: bench.rows, seed: SEED, date: '01-SEP-26' });
  const cleaned = await writeCleaned(table, bench.folder);
  await place.load(table, { read: bench.rows });
  const definitions = await prepare(BARE, place.baselines);
  const psql = new Psql(place.baselines.url, bench.folder);
  await BARE.load({ psql, definitions, rawFile: table, cleaned, indexing: loaderIndexing() });
  await place.baselines.query('VACUUM ANALYZE');
  await system.database.query('VACUUM ANALYZE');
  const plain = await openClient(place.baselines.url);
  const inbox = await Inbox.open(system, DATASET);
  try {
    return await work({ place, inbox, plain });
  } finally {
    await plain.end();
    await inbox.close();
    await place.clear();
  }
}
