import { randomBytes } from 'node:crypto';
import { chmodSync, renameSync, statSync, writeFileSync } from 'node:fs';

/**
 * A secret that only the user who starts the system can read, made when it is missing. It is whole or not there: an
 * empty file, as a full disk leaves one, would count as no secret.
 * @returns the file
 */
export function secretFile(file: string): string {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) {
    const partial = `${file}.partial`;
    writeFileSync(partial, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
    renameSync(partial, file);
  }
  chmodSync(file, 0o600);
  return file;
}
