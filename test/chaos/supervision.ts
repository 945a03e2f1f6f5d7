import { setMaxListeners } from 'node:events';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '#common/errors/sluice-error.js';
import type { FaultPoint } from '#common/faults/fault-point.js';
import type { System } from '../support/system.js';
import { SERVERS, SERVICES } from './chaos-plan.js';

const BEAT_MS = 50;
const LIVENESS_EVERY_MS = 5_000;
const MOST_SILENT_PROBES = 3;

interface Stall {
  readonly name: string;
  readonly pid: number;
  readonly wakeAt: number;
}

/**
 * Looks after a system as a supervisor does: what ended is started again, what says that it is not live is killed.
 * Also wakes what was stalled, when its time is over, and says which armed fault points were met.
 */
export class Supervision {
  /** What a supervisor would have logged. */
  readonly remarks: string[] = [];
  private readonly silentProbes = new Map<string, number>();
  private stalls: Stall[] = [];
  /** Files of the fault folder: `<point>.hit-<pid>`. They stay until the round's end, for the process that met one reads it. */
  private readonly met: string[] = [];
  private readonly stopping = new AbortController();
  private readonly killedPids = new Map<string, number>();
  private readonly expectedEnds = new Set<string>();
  private readonly held = new Set<string>();
  /** Every process that was to end: by a signal or at a fault point. */
  private readonly endedPids = new Set<number>();
  private loops: Promise<unknown> = Promise.resolve();

  /** @param stallMs how long a stalled process stays so */
  constructor(
    private readonly system: System,
    private readonly stallMs: number,
  ) {}

  start(): void {
    // Every loop listens.
    setMaxListeners(0, this.stopping.signal);
    this.loops = Promise.all([
      ...[...SERVERS, ...SERVICES].map((name) => this.keepRunning(name)),
      this.repeat(BEAT_MS, () => {
        this.wakeAndCollect();
      }),
      ...SERVICES.map((name) => this.repeat(LIVENESS_EVERY_MS, () => this.probeLiveness(name))),
    ]);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loops;
    for (const stall of this.stalls.splice(0)) this.wake(stall);
  }

  /** Sends a signal that ends it. @returns false when it is not there just now */
  kill(name: string, signal: 'SIGKILL' | 'SIGTERM'): boolean {
    if (!this.system.isRunning(name)) return false;
    this.killedPids.set(name, this.system.pidOf(name));
    this.endedPids.add(this.system.pidOf(name));
    this.expectedEnds.add(name);
    this.system.signal(name, signal);
    return true;
  }

  /** Kills it, and starts it again only after {@link letGo}. @returns false when it is not there just now */
  hold(name: string): boolean {
    this.held.add(name);
    if (this.kill(name, 'SIGKILL')) return true;
    this.held.delete(name);
    return false;
  }

  letGo(name: string): void {
    this.held.delete(name);
  }

  isUp(name: string): boolean {
    return this.system.isRunning(name);
  }

  /** Whether this process was meant to end. */
  isExpectedEnd(name: string, pid: number): boolean {
    return this.endedPids.has(pid) || this.hasMetPoint(name);
  }

  /** Whether the process that was killed last has ended; another may have its name by now. */
  isGone(name: string): boolean {
    return !this.system.isRunning(name) || this.system.pidOf(name) !== this.killedPids.get(name);
  }

  /** @returns false when it is not there just now */
  stall(name: string): boolean {
    if (!this.system.isRunning(name)) return false;
    this.system.signal(name, 'SIGSTOP');
    this.willWake(name);
    return true;
  }

  /** Every stalled process is awake again. */
  isAwake(): boolean {
    return this.stalls.length === 0;
  }

  arm(point: FaultPoint, action: 'kill' | 'stall'): void {
    writeFileSync(join(this.system.faultFolder, point), action);
  }

  /** A point that no process has met is met by none from now on. @returns the points that were met since the last call */
  disarm(): FaultPoint[] {
    this.wakeAndCollect();
    for (const file of readdirSync(this.system.faultFolder)) {
      rmSync(join(this.system.faultFolder, file), { force: true });
    }
    return [...this.met.splice(0)].map((file) => file.split('.hit-')[0] as FaultPoint);
  }

  private async keepRunning(name: string): Promise<void> {
    await this.repeat(BEAT_MS, async () => {
      if (this.system.isRunning(name) || this.held.has(name)) return;
      const isExpected = this.expectedEnds.delete(name) || this.hasMetPoint(name);
      // PostgreSQL ends at once as long as children of the killed one are there.
      if (!isExpected && !SERVERS.includes(name)) this.remarks.push(`${name} ended by itself`);
      try {
        await this.system.restart(name, { waitsForReady: false });
        this.silentProbes.delete(name);
      } catch (error) {
        this.remarks.push(`${name} could not be started: ${messageOf(error)}`);
      }
      await sleep(4 * BEAT_MS);
    });
  }

  private hasMetPoint(name: string): boolean {
    const files = readdirSync(this.system.faultFolder);
    return files.some((file) => file.endsWith(`.hit-${this.system.pidOf(name)}`));
  }

  private async probeLiveness(name: string): Promise<void> {
    if (!this.system.isRunning(name) || this.stalls.some((stall) => stall.name === name)) return;
    const problem = await problemOf(`${this.system.urlOf(name)}/health/live`);
    const silent = problem === null ? 0 : (this.silentProbes.get(name) ?? 0) + 1;
    this.silentProbes.set(name, silent);
    if (silent < MOST_SILENT_PROBES) return;
    this.remarks.push(`${name} was not live: ${problem ?? ''}`);
    this.silentProbes.delete(name);
    this.kill(name, 'SIGKILL');
  }

  private wakeAndCollect(): void {
    for (const file of readdirSync(this.system.faultFolder)) {
      if (!file.includes('.hit-') || this.met.includes(file)) continue;
      this.met.push(file);
      const name = SERVICES.find((each) => file.endsWith(`.hit-${this.system.pidOf(each)}`));
      if (name === undefined) continue;
      const action = readFileSync(join(this.system.faultFolder, file), 'utf8');
      if (action === 'stall') this.willWake(name);
      else this.expectedEnds.add(name);
    }
    const now = performance.now();
    const due = this.stalls.filter(({ wakeAt }) => wakeAt <= now);
    this.stalls = this.stalls.filter(({ wakeAt }) => wakeAt > now);
    for (const stall of due) this.wake(stall);
  }

  private willWake(name: string): void {
    this.stalls.push({ name, pid: this.system.pidOf(name), wakeAt: performance.now() + this.stallMs });
  }

  private wake({ name, pid }: Stall): void {
    if (this.system.isRunning(name) && this.system.pidOf(name) === pid) this.system.signal(name, 'SIGCONT');
  }

  private async repeat(everyMs: number, work: () => Promise<void> | void): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await work();
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Why a service is not live or not ready; null when it is. */
export async function problemOf(url: string): Promise<string | null> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    const text = await answer.text();
    return answer.ok ? null : text;
  } catch (error) {
    return messageOf((error as { cause?: unknown }).cause ?? error);
  }
}
