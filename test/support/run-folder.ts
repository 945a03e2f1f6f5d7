import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { type StartedProcess, startProcess, stopProcess, waitUntilReady } from '#local/start-process.js';
import type { ProcessPlan } from '#local/process-plan.js';

/** Longer than any healthy start, also on a machine that does ten other things. */
export const READY_TIMEOUT_MS = 180_000;

/**
 * A folder of its own for the servers of a test, and what runs in it.
 * Both go with `remove`, or when this process goes away in whatever manner (see end-with-parent.js).
 */
export class RunFolder {
  readonly path: string;
  private readonly running = new Set<StartedProcess>();
  private readonly more: string[] = [];

  constructor(name: string) {
    this.path = mkdtempSync(join(tmpdir(), `sluice-${name}-`));
    chmodSync(this.path, 0o711);
    tellGuard({ remove: this.path });
  }

  /** A folder outside that goes at the same time. */
  alsoRemove(folder: string): void {
    this.more.push(folder);
    tellGuard({ remove: folder });
  }

  /** A process that another program started for the test; it is sent SIGTERM when this process goes away. */
  alsoEnd(pid: number): void {
    tellGuard({ watch: pid, signal: 'SIGTERM' });
  }

  /** Starts a process and waits until it is ready. */
  async start(plan: ProcessPlan): Promise<StartedProcess> {
    const started = await this.launch(plan);
    try {
      await waitUntilReady(started, READY_TIMEOUT_MS);
    } catch (error) {
      await this.stop(started);
      throw error;
    }
    return started;
  }

  /** Starts a process without waiting. */
  async launch(plan: ProcessPlan): Promise<StartedProcess> {
    const started = await startProcess(plan);
    this.running.add(started);
    // PostgreSQL ends at once, and cleans up, on SIGQUIT; for the JVM that only prints its threads.
    tellGuard({ watch: started.ref.pid, signal: plan.name === 'postgres' ? 'SIGQUIT' : 'SIGTERM' });
    return started;
  }

  async stop(started: StartedProcess): Promise<void> {
    await stopProcess(started.plan, started.ref);
    this.running.delete(started);
    tellGuard({ unwatch: started.ref.pid });
  }

  /** Ends what still runs, the last started first, and removes the folders. */
  async remove(): Promise<void> {
    for (const started of [...this.running].reverse()) await this.stop(started);
    for (const folder of [this.path, ...this.more]) {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
      tellGuard({ keep: folder });
    }
  }
}

type GuardLine =
  { watch: number; signal: NodeJS.Signals } | { unwatch: number } | { remove: string } | { keep: string };

let guard: Writable | undefined;

function tellGuard(line: GuardLine): void {
  guard ??= startGuard();
  guard.write(`${JSON.stringify(line)}\n`);
}

function startGuard(): Writable {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, 'end-with-parent.js')], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  const stdin = child.stdin as Writable & { unref(): void };
  stdin.unref();
  return stdin;
}
