/**
 * One whole job on a system of its own: seconds, rows a second, and the peak resident memory of each process (G9).
 *
 *     node dist/bench/full-run.js [--rows 1600000] [--dataset tax-registration]
 *
 * Makes a seeded file, starts Kafka, PostgreSQL and the services in a folder of its own, serves the file over HTTP
 * and runs `sluice run` as a user would; the clock of the report runs from the job's start to its end. Peak memory is
 * VmHWM of /proc, so it is known on Linux only. Exits 1 when the job fails or a service passes 256 MB.
 */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Generate } from '#core/dataset/generate.js';
import { loadRegistry } from '#core/dataset/registry.js';
import { BenchSystem, say } from './system/bench-system.js';

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1600000' },
    dataset: { type: 'string', default: 'tax-registration' },
  },
});

const system = new BenchSystem();
try {
  process.exitCode = await measure(Number(options.rows));
} finally {
  await system.remove();
}

async function measure(rows: number): Promise<number> {
  const file = join(system.folder, 'source');
  await pipeline(
    Readable.from(
      (await generatorOf(options.dataset))({ rows, seed: 1, defectShare: 0.002, repeatShare: 0.0005 }),
    ),
    createWriteStream(file),
  );
  say(`${rows} rows`);
  await system.up();
  const { state } = await system.run(options.dataset, file);
  const isWithinMemory = system.reportMemory();
  return state === 'succeeded' && isWithinMemory ? 0 : 1;
}

async function generatorOf(name: string): Promise<Generate> {
  const entry = (await loadRegistry()).entry(name);
  const { generate } = (await import(pathToFileURL(join(entry.folder, 'generator.js')).href)) as {
    generate: Generate;
  };
  return generate;
}
