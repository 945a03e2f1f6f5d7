import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Which build of Sluice this is; scripts/build.js writes it into `dist`. */
export interface Build {
  /** Hash over everything built that can run: the same sources give the same id, on any machine. */
  readonly id: string;
}

/** @returns null when there is none: the sources run by themselves, or a build is under way */
export function readBuild(dist: string): Build | null {
  try {
    const { id } = JSON.parse(readFileSync(join(dist, 'build.json'), 'utf8')) as Partial<Build>;
    return typeof id === 'string' ? { id } : null;
  } catch {
    return null;
  }
}

/** The build that this process runs; read at its start, since a later build overwrites the file but not what runs. */
export const OWN_BUILD: string | null = readBuild(join(import.meta.dirname, '../../../..'))?.id ?? null;
