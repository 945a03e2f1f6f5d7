/**
 * Guards the servers of a test run: when the process that started it goes away, however that happens
 * (Ctrl-C, `kill -9`, a crashed Jest worker), this one's standard input ends, and it ends what it was asked to watch
 * and removes the folders. Start it detached, so that Ctrl-C does not reach it. Plain JavaScript, because it must
 * run without a build.
 *
 * Lines on standard input: {"watch": pid, "signal": "SIGTERM"} · {"unwatch": pid} · {"remove": folder} · {"keep": folder}
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const GRACE_MS = 8_000;
const watched = new Map();
const folders = new Set();

for await (const line of createInterface({ input: process.stdin })) {
  const { watch, signal, unwatch, remove, keep } = JSON.parse(line);
  if (watch !== undefined) watched.set(watch, { signal, started: startTimeOf(watch) });
  if (unwatch !== undefined) watched.delete(unwatch);
  if (remove !== undefined) folders.add(remove);
  if (keep !== undefined) folders.delete(keep);
}

const isAlive = ([pid, { started }]) => started !== null && startTimeOf(pid) === started;
for (const entry of watched) if (isAlive(entry)) kill(entry[0], entry[1].signal);
for (const end = Date.now() + GRACE_MS; [...watched].some(isAlive) && Date.now() < end;) await sleep(50);
for (const entry of watched) if (isAlive(entry)) kill(entry[0], 'SIGKILL');
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });

/** A pid may be another process by now; zombies count as gone. */
function startTimeOf(pid) {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? null : fields[19];
    } catch {
      return null;
    }
  }
  const ps = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const [stat, ...started] = ps.stdout.trim().split(/\s+/);
  return ps.status !== 0 || !stat || stat.startsWith('Z') ? null : started.join(' ');
}

function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone in between.
  }
}
