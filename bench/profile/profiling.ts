import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Profiler } from 'node:inspector';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { NamedProcess } from '../system/cost.js';
import { beginProfile, type RunningProfile } from './cpu-profile.js';

const OURS = /^(job-\d+-[a-z]+(-\d+)?|bench)\.cpuprofile$|^\d+\.(on|cpuprofile(\.part)?)$/;
const NOT_NODE = ['kafka', 'postgres'];
/** A loader in the middle of its work answers a signal after the work of one turn of its event loop. */
const LONGEST_WAIT_MS = 30_000;

/** Writes CPU profiles of the services during each job, and of this process during the whole case. */
export class Profiling {
  /** In the order of their making. */
  readonly files: { readonly name: string; readonly file: string }[] = [];
  private jobs = 0;
  private own: RunningProfile | undefined;

  /** @param folder made when missing; profiles of an earlier run in it go */
  constructor(private readonly folder: string) {
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(folder).filter((name) => OURS.test(name))) rmSync(join(folder, file));
  }

  /** Of the processes that are to be profiled, and of those that start them. */
  get environment(): Readonly<Record<string, string>> {
    const preload = pathToFileURL(join(import.meta.dirname, 'profiled-process.js')).href;
    return {
      NODE_OPTIONS: [process.env.NODE_OPTIONS, `--import=${preload}`].filter(Boolean).join(' '),
      SLUICE_BENCH_PROFILES: this.folder,
    };
  }

  beginOwn(): void {
    this.own = beginProfile();
  }

  endOwn(): void {
    if (this.own === undefined) return;
    const file = join(this.folder, 'bench.cpuprofile');
    writeFileSync(file, JSON.stringify(this.own.end()));
    this.own = undefined;
    this.files.push({ name: 'bench', file });
  }

  async begin(processes: readonly NamedProcess[]): Promise<void> {
    await this.signalAll(processes, (pid) => existsSync(join(this.folder, `${pid}.on`)));
  }

  async end(processes: readonly NamedProcess[]): Promise<void> {
    await this.signalAll(processes, (pid) => !existsSync(join(this.folder, `${pid}.on`)));
    this.jobs += 1;
    for (const { name, pid } of services(processes)) {
      const named = `job-${this.jobs}-${name}`;
      const file = join(this.folder, `${named}.cpuprofile`);
      renameSync(join(this.folder, `${pid}.cpuprofile`), file);
      this.files.push({ name: named, file });
    }
  }

  private async signalAll(
    processes: readonly NamedProcess[],
    isDone: (pid: number) => boolean,
  ): Promise<void> {
    for (const { pid } of services(processes)) process.kill(pid, 'SIGUSR2');
    const deadline = Date.now() + LONGEST_WAIT_MS;
    for (const { name, pid } of services(processes)) {
      while (!isDone(pid)) {
        if (Date.now() > deadline) throw new SluiceError('INTERNAL', `${name} does not answer SIGUSR2.`);
        await sleep(5);
      }
    }
  }
}

export function readProfile(file: string): Profiler.Profile {
  return JSON.parse(readFileSync(file, 'utf8')) as Profiler.Profile;
}

const services = (processes: readonly NamedProcess[]): readonly NamedProcess[] =>
  processes.filter(({ name }) => !NOT_NODE.includes(name));
