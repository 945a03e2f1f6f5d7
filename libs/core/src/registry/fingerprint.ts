import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** What a dataset brings for its tests alone, or what a build adds. */
const DOES_NOT_RUN = /(^|\/)fixtures\/|spec\.[jt]s$|\.map$|\.d\.ts$|\.md$/;

/**
 * Names what a dataset's folder holds: the same files give the same twelve hex digits. Read at the start of a process it
 * says what that process judges by; a folder outside of the installation changes without any build.
 */
export function datasetFingerprint(folder: string): string {
  const hash = createHash('sha256');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .filter((file) => !DOES_NOT_RUN.test(file))
    .sort();
  for (const file of files) {
    const content = readFileSync(join(folder, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex').slice(0, 12);
}
