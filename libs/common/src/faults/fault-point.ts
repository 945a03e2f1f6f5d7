import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../errors/sluice-error.js';

/**
 * Named places at which a test may end or stall a process: the moments between two durable acts, where a promise
 * would break if one of them were in the wrong order.
 *
 * Off, and one comparison dear, unless `SLUICE_FAULT_FOLDER` names a folder. Then a file there, named like the
 * point and holding `kill`, `stall` or `throw`, arms it for exactly one process: a process that passes first renames
 * the file to `<point>.hit-<pid>`, which only one can.
 */
export const FAULT_POINTS = [
  /** A raw batch is acknowledged, and in no checkpoint yet. */
  'ingestor.published',
  /** Every batch is acknowledged, and the totals are not written. */
  'ingestor.before-totals',
  'validator.before-dead',
  'validator.dead-sent',
  'validator.clean-sent',
  /** Everything of the batch is sent, and its offset not committed. */
  'validator.status-sent',
  'loader.before-begin',
  /** Some of the group's COPY text is on its way. */
  'loader.in-copy',
  'loader.before-commit',
  /** The group is committed, and not announced yet. */
  'loader.committed',
  /** Its events are sent, and the offset is not committed. */
  'loader.announced',
  'finalizer.settling',
  'finalizer.index-build',
  'finalizer.before-swap',
  /** Inside the swap's transaction, after its first rename. */
  'finalizer.in-swap',
  /** Inside the merge's transaction, after the main table. */
  'finalizer.in-merge',
  /** The job is visible, and its end is not announced yet. */
  'finalizer.visible',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

let armedFolder: string | null = null;

/** Called once at the start of a service. @param folder '' leaves every point without effect */
export function watchFaultPoints(folder: string): void {
  armedFolder = folder === '' ? null : folder;
}

/** Passes the point, or does not survive it. */
export function faultPoint(point: FaultPoint): void {
  if (armedFolder === null) return;
  const taken = join(armedFolder, `${point}.hit-${process.pid}`);
  try {
    renameSync(join(armedFolder, point), taken);
  } catch {
    // Not armed, or another process was first.
    return;
  }
  const action = readFileSync(taken, 'utf8').trim();
  if (action === 'throw') throw new SluiceError('INTERNAL', `fault point ${point}`);
  process.kill(process.pid, action === 'stall' ? 'SIGSTOP' : 'SIGKILL');
}
