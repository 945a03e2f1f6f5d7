/**
 * A merge into a full table: seconds, and the peak memory of the loader and of PostgreSQL's backend that merges.
 *
 *     node dist/bench/merge.js [--rows 1600000] [--mode upsert|append]
 *
 * Loads an extract of so many registrations by `replace`, and merges the next day's: the same rows and a tenth more.
 * With `upsert` every old row is updated, since its date is new, and the tenth is inserted; then the second extract
 * comes again, and nothing changes. With `append` the old rows are superseded. A backend's memory is what is its own
 * (RssAnon, without shared buffers), looked at twice a second. /proc has it on Linux only. Exits 1 when a job fails
 * or a service passes 256 MB.
 */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { generate } from '#datasets/tax-registration/generator.js';
import { BackendWatch } from './system/backend-watch.js';
import { BenchSystem, say } from './system/bench-system.js';

const DATASET = 'tax-registration';

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1600000' },
    mode: { type: 'string', default: 'upsert' },
  },
});

const system = new BenchSystem();
try {
  process.exitCode = await measure(Number(options.rows));
} finally {
  await system.remove();
}

async function measure(rows: number): Promise<number> {
  const first = await extract('first', rows, '01-SEP-26');
  const second = await extract('second', Math.floor(rows * 1.1), '02-SEP-26');
  await system.up();
  const before = await system.run(DATASET, first);
  const merged = [await merge(second), await merge(second)];
  const isWithinMemory = system.reportMemory();
  const isDone = [before, ...merged].every(({ state }) => state === 'succeeded');
  return isDone && isWithinMemory ? 0 : 1;
}

async function extract(name: string, rows: number, date: string): Promise<string> {
  const file = join(system.folder, name);
  await pipeline(Readable.from(dated(rows, date)), createWriteStream(file));
  return file;
}

/** The same registrations for any number of rows, and another date line. */
function* dated(rows: number, date: string): Generator<Buffer> {
  let isFirst = true;
  for (const chunk of generate({ rows, seed: 1, defectShare: 0, repeatShare: 0 })) {
    yield isFirst ? Buffer.from(chunk.toString().replace('01-SEP-26', date)) : chunk;
    isFirst = false;
  }
}

/** Merges, and looks meanwhile at what the merging backend needs. */
async function merge(file: string): Promise<{ readonly state: string }> {
  const client = new pg.Client({ connectionString: system.state()?.databaseUrl ?? '' });
  // When something else goes wrong the system ends under us: what went wrong is what is to be told.
  client.on('error', () => undefined);
  await client.connect();
  const watch = new BackendWatch(client);
  try {
    const spilled = await watch.spilledMb();
    watch.start();
    const report = await system.run(DATASET, file, '--mode', options.mode);
    await watch.stop();
    say(
      `finalizing took ${watch.seconds.toFixed(1)} s of it; its backends had ${watch.peakMb} MB of their own at their peak, ` +
        `and ${(await watch.spilledMb()) - spilled} MB went through temporary files`,
    );
    return report;
  } finally {
    await watch.stop();
    await client.end();
  }
}
