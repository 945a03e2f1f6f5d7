import { copyFileSync, rmSync, statSync, truncateSync } from 'node:fs';

/** A process' log takes at most twice this: the file itself and one older part. */
export const MAX_LOG_BYTES = 16 * 1024 * 1024;

/**
 * Keeps a log bounded while a process writes to it: the content moves to `<file>.1`, and the file starts empty.
 * Right because the writer has opened it for append (startProcess); lines written in between the two steps are lost.
 */
export function boundLog(file: string, maxBytes = MAX_LOG_BYTES): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= maxBytes) return;
  const older = `${file}.1`;
  try {
    copyFileSync(file, older);
  } catch {
    // A full disk takes no copy. A log that has grown this far is given up for it, since that makes space.
    rmSync(older, { force: true });
  }
  truncateSync(file, 0);
}
