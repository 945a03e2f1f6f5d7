/**
 * What Linux says of processes in /proc (proc(5)): CPU seconds, parents, memory. Every reader gives undefined or
 * nothing where /proc is not there (macOS) or the process has gone.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

/** USER_HZ: a hundredth of a second on every Linux of x86 and ARM. */
const TICKS_PER_SECOND = 100;
const BYTES_PER_KB = 1024;
const BYTES_PER_MB = 1024 * 1024;

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of its own. */
  readonly cpuSeconds: number;
  /** Of the children that have ended and were waited for, and of theirs. */
  readonly endedChildrenCpuSeconds: number;
}

/** One line of /proc/<pid>/stat. */
export function parseStat(text: string): ProcessStat {
  // The name (field 2) is in parentheses and may hold blanks and parentheses; what follows begins with field 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid: Number.parseInt(text, 10),
    parent: field(4),
    cpuSeconds: (field(14) + field(15)) / TICKS_PER_SECOND,
    endedChildrenCpuSeconds: (field(16) + field(17)) / TICKS_PER_SECOND,
  };
}

/** MB (2^20 bytes) of one line of /proc/<pid>/status. */
export function parseStatusMb(text: string, line: 'VmHWM' | 'RssAnon'): number | undefined {
  const kilobytes = new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  return kilobytes === undefined ? undefined : Math.round((Number(kilobytes) * BYTES_PER_KB) / BYTES_PER_MB);
}

export function statOf(pid: number | 'self'): ProcessStat | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text === undefined ? undefined : parseStat(text);
}

/** Largest resident memory since the process began, or since resetPeak. */
export function peakMbOf(pid: number): number | undefined {
  const text = read(`/proc/${pid}/status`);
  return text === undefined ? undefined : parseStatusMb(text, 'VmHWM');
}

/** Resident memory that is the process's own: without files and without PostgreSQL's shared buffers. */
export function anonymousMbOf(pid: number): number | undefined {
  const text = read(`/proc/${pid}/status`);
  return text === undefined ? undefined : parseStatusMb(text, 'RssAnon');
}

/** From now on VmHWM begins again. Nothing happens where the kernel does not allow it: then the peak is an older one. */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Not Linux, not ours, or gone.
  }
}

export function childrenOf(pid: number): ProcessStat[] {
  return processIds()
    .flatMap((id) => statOf(id) ?? [])
    .filter(({ parent }) => parent === pid);
}

/**
 * CPU seconds of a process, its ended children and its living ones. A child that ends while they are read would be
 * counted twice or not at all, so they are read again until none has.
 */
export function familyCpuSecondsOf(
  pid: number,
  { stat, children }: { stat: typeof statOf; children: typeof childrenOf } = {
    stat: statOf,
    children: childrenOf,
  },
): number | undefined {
  let parent = stat(pid);
  for (let attempt = 0; attempt < MOST_ATTEMPTS && parent !== undefined; attempt++) {
    const living = children(pid).reduce((total, child) => total + child.cpuSeconds, 0);
    const after = stat(pid);
    const isSettled = after?.endedChildrenCpuSeconds === parent.endedChildrenCpuSeconds;
    if (isSettled) return parent.cpuSeconds + parent.endedChildrenCpuSeconds + living;
    parent = after;
  }
  return undefined;
}

const MOST_ATTEMPTS = 20;

function processIds(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}
