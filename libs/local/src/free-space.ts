import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** Below this, servers and logs fail at any moment: Kafka's segments and PostgreSQL's log grow by 16 MiB at a time. */
const FULL_BELOW_BYTES = 32 * 1024 * 1024;

/** Of the file system that holds the folder, or its nearest ancestor that exists. */
export function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(path);
    if (parent === path) throw error;
    return freeBytes(parent);
  }
}

export function isDiskFull(path: string): boolean {
  return freeBytes(path) < FULL_BELOW_BYTES;
}

export function diskFullText(path: string): string {
  const free = Math.floor(freeBytes(path) / 1024 ** 2);
  return `the disk is full: ${free} MiB are free for ${path}; work waits, and goes on when there is space`;
}
