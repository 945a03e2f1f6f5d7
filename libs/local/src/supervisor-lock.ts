import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { type ProcessRef, isAlive, refOf } from './process-identity.js';

/** @returns the supervisor that holds the lock and lives, else null */
export function lockHolder(file: string): ProcessRef | null {
  const holder = readLock(file);
  return holder !== null && isAlive(holder) ? holder : null;
}

/**
 * Makes this process the only supervisor of a folder; the lock of a dead one is taken over.
 * @returns how to release it
 * @throws SluiceError LOCAL_START_FAILED when another supervisor holds it
 */
export function takeLock(file: string): () => void {
  const self = refOf(process.pid);
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(self));
  try {
    // A link is made with its content or not at all, unlike a file that is created and then written.
    while (!tryLink(mine, file)) {
      if (lockHolder(file) !== null) {
        throw new SluiceError(
          'LOCAL_START_FAILED',
          `Another \`sluice up\` looks after this system (lock ${file}).`,
        );
      }
      removeStale(file);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  return () => {
    rmSync(file, { force: true });
  };
}

/** The lock of this process, written again when it has become unreadable: a second supervisor would take it over. */
export function keepLock(file: string): void {
  if (readLock(file) !== null) return;
  try {
    writeFileSync(file, JSON.stringify(refOf(process.pid)));
  } catch {
    // A full disk: the next check retries it.
  }
}

/** Two may see the same stale lock: the slower one must not remove what the faster one has put there since. */
function removeStale(file: string): void {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    // Another one was faster. Anything else, such as a missing permission, would be the same at each further try.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new SluiceError(
      'LOCAL_START_FAILED',
      `The lock ${file} of a supervisor that is gone cannot be removed: ${messageOf(error)}. Remove it, then try again.`,
      {},
      { cause: error },
    );
  }
  if (lockHolder(aside) !== null) tryLink(aside, file);
  rmSync(aside, { force: true });
}

function tryLink(existing: string, link: string): boolean {
  try {
    linkSync(existing, link);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readLock(file: string): ProcessRef | null {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as Partial<ProcessRef> | null;
    if (typeof value?.pid !== 'number' || typeof value.started !== 'string') return null;
    return { pid: value.pid, started: value.started };
  } catch {
    return null;
  }
}
