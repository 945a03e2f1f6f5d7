import { childrenOf, anonymousMbOf, familyCpuSecondsOf, peakMbOf, resetPeak, statOf } from './proc.js';

/** A process of the system, by the name under which its cost is reported. */
export interface NamedProcess {
  readonly name: string;
  readonly pid: number;
}

/** What a piece of work cost besides time. Where /proc is not there (macOS) only `bench` has CPU seconds. */
export interface Cost {
  /**
   * By process name. `postgres` is the postmaster with all its children, ended ones too; `bench` is this process, which
   * also serves the source; `client` is what this process has started and has ended: psql, or the command line.
   */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  /**
   * Peak resident memory by process name, of this work alone. Of `postgres` the largest backend's own memory, looked at
   * twice a second: its shared buffers are in every backend's resident memory, so a sum would mean nothing.
   */
  readonly peakMb: Readonly<Record<string, number>>;
}

/** Its backends come and go, and share memory. */
const POSTGRES = 'postgres';
const BENCH = 'bench';
const CLIENT = 'client';
const SAMPLE_MS = 500;

/** Counts from its making on, until `stop`. */
class CostCounter {
  private readonly before: ReadonlyMap<string, number>;
  private readonly sampling: NodeJS.Timeout;
  private largestBackendMb: number | undefined;

  constructor(private readonly processes: readonly NamedProcess[]) {
    for (const { pid } of this.withBench()) resetPeak(pid);
    this.before = this.cpuSeconds();
    this.sampling = setInterval(() => {
      this.sampleBackends();
    }, SAMPLE_MS);
  }

  stop(): void {
    clearInterval(this.sampling);
  }

  cost(): Cost {
    const after = this.cpuSeconds();
    this.sampleBackends();
    const cpuSeconds: Record<string, number> = {};
    for (const [name, seconds] of after) {
      const before = this.before.get(name);
      if (before !== undefined && seconds >= before) cpuSeconds[name] = rounded(seconds - before);
    }
    const peakMb: Record<string, number> = {};
    for (const { name, pid } of this.withBench()) {
      const peak = name === POSTGRES ? this.largestBackendMb : peakMbOf(pid);
      if (peak !== undefined) peakMb[name] = peak;
    }
    return { cpuSeconds, peakMb };
  }

  private cpuSeconds(): Map<string, number> {
    const { user, system } = process.cpuUsage();
    const seconds = new Map([[BENCH, (user + system) / 1e6]]);
    const clients = statOf('self')?.endedChildrenCpuSeconds;
    if (clients !== undefined) seconds.set(CLIENT, clients);
    for (const { name, pid } of this.processes) {
      const used = name === POSTGRES ? familyCpuSecondsOf(pid) : statOf(pid)?.cpuSeconds;
      if (used !== undefined) seconds.set(name, used);
    }
    return seconds;
  }

  private sampleBackends(): void {
    const postmaster = this.processes.find(({ name }) => name === POSTGRES);
    if (postmaster === undefined) return;
    for (const { pid } of childrenOf(postmaster.pid)) {
      const mb = anonymousMbOf(pid);
      if (mb !== undefined) this.largestBackendMb = Math.max(this.largestBackendMb ?? 0, mb);
    }
  }

  private withBench(): readonly NamedProcess[] {
    return [...this.processes, { name: BENCH, pid: process.pid }];
  }
}

/**
 * Does some work and reports what it took and cost.
 * @param processes those of the system besides this one; one that is replaced meanwhile is left out
 */
export async function costOf<T>(
  work: () => T | Promise<T>,
  processes: readonly NamedProcess[] = [],
): Promise<{ result: T; seconds: number } & Cost> {
  const counter = new CostCounter(processes);
  try {
    const startedAt = performance.now();
    const result = await work();
    const seconds = (performance.now() - startedAt) / 1000;
    return { result, seconds, ...counter.cost() };
  } finally {
    counter.stop();
  }
}

/** A process is charged hundredths of a second. */
function rounded(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
