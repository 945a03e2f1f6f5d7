import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../errors/sluice-error.js';

/**
 * Named places at which a test may end or stall a process: the moments between two durable acts, where a promise
 * would break if one of them were in the wrong order.
 *
 * Off, at the cost of one comparison, unless `SLUICE_FAULT_FOLDER` names a folder. Then a file there, named like the
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

/** Those that only a stream passes. */
export const STREAM_FAULT_POINTS = [
  /** Messages of the inbox are read, and in no job yet. */
  'stream.range-open',
  /** Inside the transaction that begins a job of the stream: its row is written, the position is not. */
  'stream.before-position',
  /** The row of a job and the new position are committed, and nothing of the job is published. */
  'stream.job-row-written',
] as const;

/** Those that only a resubmission passes. */
export const REPAIR_FAULT_POINTS = [
  /** The dead letters of the first page are locked, and nothing is sent. */
  'repair.locked',
  /** Everything is sent and nothing of it committed; the rows are written, in the transaction that is open. */
  'repair.published',
  /** The messages are committed, and the transaction with the rows is not. */
  'repair.committed',
  /** Both are committed, and nothing of the job is published. */
  'repair.job-row-written',
] as const;
/** Those that only a replay passes. */
export const REPLAY_FAULT_POINTS = [
  /** What a replay covers is committed, and no job of it has begun. */
  'replay.pinned',
  /** Inside the transaction that begins a job of a replay: its row is written, its place in the replay is not. */
  'replay.before-place',
  /** Both are committed, and nothing of the job is published. */
  'replay.job-row-written',
  /** Every job has ended, and the end of the replay is not written. */
  'replay.before-end',
] as const;
export type FaultPoint =
  | (typeof FAULT_POINTS)[number]
  | (typeof STREAM_FAULT_POINTS)[number]
  | (typeof REPAIR_FAULT_POINTS)[number]
  | (typeof REPLAY_FAULT_POINTS)[number];

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
