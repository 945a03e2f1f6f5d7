import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { serveFile } from '../../apps/cli/src/commands/demo/serve-file.js';
import type { RunJson } from '../../apps/cli/src/render/run-json.js';
import { type SystemState, readState } from '../../apps/cli/src/local/system-state.js';

/** G9. */
const MAX_SERVICE_MB = 256;
const SERVERS = ['kafka', 'postgres'];

/** A system of its own for a measurement, used by the CLI as a user would; it goes with `remove`. */
export class BenchSystem {
  /** For source files. */
  readonly folder: string;
  private readonly environment: NodeJS.ProcessEnv;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
    // PostgreSQL's user has to get through when root measures.
    chmodSync(this.folder, 0o711);
    this.environment = { ...process.env, SLUICE_LOCAL_FOLDER: join(this.folder, 'system') };
  }

  async up(): Promise<void> {
    say(`${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`);
    await this.sluice(['up']);
  }

  /** Serves a file over HTTP and loads it; its report is printed. */
  async run(dataset: string, file: string, ...more: readonly string[]): Promise<RunJson> {
    const served = await serveFile(file, '/source');
    try {
      const args = ['run', dataset, '--source', served.url, '--yes', '--json', ...more];
      const report = JSON.parse(await this.sluice(args)) as RunJson;
      say(JSON.stringify(report));
      const rate = Math.round(report.counts.read / report.seconds);
      say(`${report.mode}: ${report.seconds.toFixed(1)} s, ${rate} rows/s`);
      return report;
    } finally {
      await served.close();
    }
  }

  state(): SystemState | undefined {
    return readState(join(this.folder, 'system', 'state.json'));
  }

  /**
   * Prints VmHWM of every process of the system; /proc has it on Linux only.
   * @returns whether each service stays within G9
   */
  reportMemory(): boolean {
    let isWithin = true;
    for (const { name, ref } of this.state()?.processes ?? []) {
      if (!ref) continue;
      const peakMb = memoryOf(ref.pid, 'VmHWM');
      say(`${name}: ${peakMb} MB resident at its peak`);
      if (!SERVERS.includes(name) && peakMb > MAX_SERVICE_MB) isWithin = false;
    }
    return isWithin;
  }

  async remove(): Promise<void> {
    await this.sluice(['down']);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs one command of the CLI to its end; its messages are shown, its output is returned. */
  private async sluice(args: readonly string[]): Promise<string> {
    const main = join(import.meta.dirname, '..', '..', 'apps', 'cli', 'src', 'main.js');
    const child = spawn(process.execPath, [main, ...args], {
      env: this.environment,
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
}

/** MB of one line of /proc/<pid>/status; NaN when the process is gone, or /proc is not there. */
export function memoryOf(pid: number, line: 'VmHWM' | 'RssAnon'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Math.round(Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024);
  } catch {
    return NaN;
  }
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
