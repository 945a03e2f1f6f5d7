import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { programOf } from '../process-identity.js';

/**
 * Removes what a killed server left in its data, when its pid belongs to another program by now.
 *
 * PostgreSQL refuses to start while any process has the pid in `postmaster.pid`. After a reboot, and in a container always,
 * that pid is soon another's. A pid that a postgres has is left alone: it may be this very server.
 */
export function removeStalePidFile(data: string): void {
  const file = join(data, 'postmaster.pid');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return; // there is none, or PostgreSQL itself will say what is wrong with it
  }
  const pid = Number.parseInt(text, 10);
  const program = pid > 0 ? programOf(pid) : null;
  if (program === null || !/^postgres/.test(program)) rmSync(file, { force: true });
}
