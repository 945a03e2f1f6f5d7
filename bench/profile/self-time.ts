import type { Profiler } from 'node:inspector';
import { fileURLToPath } from 'node:url';
import { relative } from 'node:path';
import { type TableColumn, renderTable } from '../../apps/cli/src/render/table.js';

/** Where a process's CPU time went: time on top of the stack, without what was called. */
export interface SelfTime {
  /** A function with its file and line, or a file. */
  readonly place: string;
  readonly seconds: number;
}

export interface SelfTimes {
  readonly wallSeconds: number;
  /** Without waiting. */
  readonly busySeconds: number;
  readonly functions: readonly SelfTime[];
  readonly files: readonly SelfTime[];
}

/** Waiting, and the inspector's own work when a profile begins and ends. */
const NOT_BUSY = ['(idle)', 'dispatch'];

/** @param root paths below it are shown without it */
export function selfTimesOf(profile: Profiler.Profile, root: string): SelfTimes {
  const microseconds = new Map<number, number>();
  profile.samples?.forEach((node, index) => {
    const delta = Math.max(0, profile.timeDeltas?.[index] ?? 0);
    microseconds.set(node, (microseconds.get(node) ?? 0) + delta);
  });
  const functions = new Map<string, number>();
  const files = new Map<string, number>();
  let busy = 0;
  for (const { id, callFrame } of profile.nodes) {
    const seconds = (microseconds.get(id) ?? 0) / 1e6;
    const { functionName, url, lineNumber } = callFrame;
    if (seconds === 0 || (url === '' && NOT_BUSY.includes(functionName))) continue;
    busy += seconds;
    const name = functionName || '(anonymous)';
    const file = url === '' ? withoutFile(name) : shortPath(url, root);
    const place = url === '' ? name : `${name}  ${file}:${lineNumber + 1}`;
    functions.set(place, (functions.get(place) ?? 0) + seconds);
    files.set(file, (files.get(file) ?? 0) + seconds);
  }
  return {
    wallSeconds: (profile.endTime - profile.startTime) / 1e6,
    busySeconds: busy,
    functions: mostFirst(functions),
    files: mostFirst(files),
  };
}

/** @param most lines of a table at most */
export function selfTimeText(name: string, times: SelfTimes, most = 30): string {
  const { wallSeconds, busySeconds, functions, files } = times;
  const columns = (title: string): TableColumn<SelfTime>[] => [
    { title: 'self s', align: 'right', value: ({ seconds }) => seconds.toFixed(2) },
    { title: '%', align: 'right', value: ({ seconds }) => ((100 * seconds) / busySeconds).toFixed(1) },
    { title, value: ({ place }) => place },
  ];
  return [
    `${name}: busy ${busySeconds.toFixed(1)} s of ${wallSeconds.toFixed(1)} s\n`,
    renderTable(functions.slice(0, most), columns('function')),
    renderTable(files.slice(0, most), columns('file')),
  ].join('\n');
}

function mostFirst(seconds: ReadonlyMap<string, number>): SelfTime[] {
  return [...seconds]
    .map(([place, spent]) => ({ place, seconds: spent }))
    .sort((a, b) => b.seconds - a.seconds);
}

/** V8 calls its own doings `(program)` and `(garbage collector)`; other names are of functions in C++. */
function withoutFile(name: string): string {
  return name.startsWith('(') ? name : '(native)';
}

function shortPath(url: string, root: string): string {
  if (!url.startsWith('file://')) return url;
  const path = fileURLToPath(url);
  return path.startsWith(root) ? relative(root, path) : path;
}
