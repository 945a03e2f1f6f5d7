import { execFileSync } from 'node:child_process';
import { platform } from 'node:process';

/** Whether a process's writes to files can be refused from outside (prlimit of util-linux). */
export const CAN_FILL_DISKS = platform === 'linux';

/**
 * As if the disk under its log were full: whatever the process writes to a file from now on is refused (EFBIG).
 * Sockets and pipes are not concerned.
 * @returns false when the process is gone
 */
export function fillDiskUnder(pid: number): boolean {
  return setFileSizeLimit(pid, '1');
}

/** @returns false when the process is gone */
export function freeDiskUnder(pid: number): boolean {
  return setFileSizeLimit(pid, 'unlimited');
}

function setFileSizeLimit(pid: number, softLimit: string): boolean {
  try {
    execFileSync('prlimit', ['--pid', String(pid), `--fsize=${softLimit}:`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
