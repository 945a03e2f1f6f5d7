import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Whether a pid is still the process that we started.
 *
 * Pids are used again, after a reboot almost at once, so a pid alone is never signalled:
 * - PI1: a process is known by pid and start time; both were read right after it was started.
 * - PI2: a zombie counts as gone (its parent may never collect it, as pid 1 of many containers).
 * - PI3: where /proc is missing (macOS) `ps` gives the same facts, to the second.
 */
export interface ProcessRef {
  readonly pid: number;
  /** Start time in the words of this machine; compare only. */
  readonly started: string;
}

/** @returns null when no living process has this pid */
export function startTimeOf(pid: number): string | null {
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

/** @returns null when the process is gone already */
export function refOf(pid: number): ProcessRef | null {
  const started = startTimeOf(pid);
  return started === null ? null : { pid, started };
}

/** @returns the name of the program that a living process runs, the first 15 characters of it at least; null when there is none */
export function programOf(pid: number): string | null {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    } catch {
      return null;
    }
  }
  const { status, stdout } = spawnSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' });
  return status === 0 ? basename(stdout.trim()) : null;
}

export function isAlive(ref: ProcessRef): boolean {
  return startTimeOf(ref.pid) === ref.started;
}

export interface StopStep {
  readonly signal: NodeJS.Signals;
  /** How long the process may take before the next step. */
  readonly waitMs: number;
}

/**
 * Ends a process we started, step by step; after the last step it is killed.
 * Never signals a process that merely got the same pid.
 * @returns the signal it went with, null when it was gone already
 */
export async function endProcess(
  ref: ProcessRef,
  steps: readonly StopStep[],
): Promise<NodeJS.Signals | null> {
  let last: NodeJS.Signals | null = null;
  for (const step of [...steps, { signal: 'SIGKILL', waitMs: 10_000 } as const]) {
    if (!isAlive(ref)) return last;
    signal(ref.pid, step.signal);
    last = step.signal;
    if (await isGoneWithin(ref, step.waitMs)) return last;
  }
  return last;
}

async function isGoneWithin(ref: ProcessRef, waitMs: number): Promise<boolean> {
  const end = Date.now() + waitMs;
  for (let pauseMs = 10; isAlive(ref); pauseMs = Math.min(pauseMs * 2, 200)) {
    if (Date.now() >= end) return false;
    await sleep(pauseMs);
  }
  return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function fromProc(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // proc(5): the name (field 2) is in parentheses and may hold anything; state is field 3, start time field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const isZombie = fields[0] === 'Z' || fields[0] === 'X';
  return isZombie ? null : `${bootId()}:${fields[19] ?? ''}`;
}

let cachedBootId: string | undefined;

/** Start times count from the boot, so a reboot could repeat them. */
function bootId(): string {
  cachedBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return cachedBootId;
}

/** Exported for its test: on Linux nothing else calls it. */
export function fromPs(pid: number): string | null {
  const { status, stdout } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { PATH: '/bin:/usr/bin', LC_ALL: 'C', TZ: 'UTC' },
  });
  const [stat, ...started] = stdout.trim().split(/\s+/);
  return status !== 0 || !stat || stat.startsWith('Z') ? null : started.join(' ');
}
