/**
 * One whole job on a system of its own: seconds, rows a second, and the peak resident memory of each process (G9).
 *
 *     node dist/bench/full-run.js [--rows 1600000] [--dataset tax-registration]
 *
 * Makes a seeded file, starts Kafka, PostgreSQL and the services in a folder of its own, serves the file over HTTP
 * and runs `sluice run` as a user would; the clock of the report runs from the job's start to its end. Peak memory is
 * VmHWM of /proc, so it is known on Linux only. Exits 1 when the job fails or a service passes 256 MB.
 */
import { spawn } from 'node:child_process';
import { chmodSync, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { serveFile } from '../apps/cli/src/commands/demo/serve-file.js';
import type { RunJson } from '../apps/cli/src/render/run-json.js';
import { readState } from '../apps/cli/src/local/system-state.js';
import type { Generate } from '#core/dataset/generate.js';
import { loadRegistry } from '#core/dataset/registry.js';

/** G9. */
const MAX_SERVICE_MB = 256;
const SERVERS = ['kafka', 'postgres'];

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1600000' },
    dataset: { type: 'string', default: 'tax-registration' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
// PostgreSQL's user has to get through when root measures.
chmodSync(folder, 0o711);
const environment = { ...process.env, SLUICE_LOCAL_FOLDER: join(folder, 'system') };
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

try {
  process.exitCode = await measure(Number(options.rows));
} finally {
  await sluice(['down']);
  rmSync(folder, { recursive: true, force: true });
}

async function measure(rows: number): Promise<number> {
  const file = join(folder, 'source');
  await pipeline(
    Readable.from(
      (await generatorOf(options.dataset))({ rows, seed: 1, defectShare: 0.002, repeatShare: 0.0005 }),
    ),
    createWriteStream(file),
  );
  say(
    `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, ${rows} rows`,
  );
  await sluice(['up']);
  const served = await serveFile(file, '/source');
  try {
    const output = await sluice(['run', options.dataset, '--source', served.url, '--yes', '--json']);
    const report = JSON.parse(output) as RunJson;
    say(JSON.stringify(report));
    say(`${report.seconds.toFixed(1)} s, ${Math.round(report.counts.read / report.seconds)} rows/s`);
    const isWithinMemory = reportMemory();
    return report.state === 'succeeded' && isWithinMemory ? 0 : 1;
  } finally {
    await served.close();
  }
}

/** Prints VmHWM of every process of the system. @returns whether each service stays within G9 */
function reportMemory(): boolean {
  let isWithin = true;
  for (const { name, ref } of readState(join(folder, 'system', 'state.json'))?.processes ?? []) {
    if (!ref) continue;
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${ref.pid}/status`, 'utf8'))?.[1];
    const peakMb = Math.round(Number(kilobytes) / 1024);
    say(`${name}: ${peakMb} MB resident at its peak`);
    if (!SERVERS.includes(name) && peakMb > MAX_SERVICE_MB) isWithin = false;
  }
  return isWithin;
}

async function generatorOf(name: string): Promise<Generate> {
  const entry = (await loadRegistry()).entry(name);
  const { generate } = (await import(pathToFileURL(join(entry.folder, 'generator.js')).href)) as {
    generate: Generate;
  };
  return generate;
}

/** Runs one command of the CLI to its end; its messages are shown, its output is returned. */
async function sluice(args: readonly string[]): Promise<string> {
  const main = join(import.meta.dirname, '..', 'apps', 'cli', 'src', 'main.js');
  const child = spawn(process.execPath, [main, ...args], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  return output;
}
