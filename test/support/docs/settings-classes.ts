import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { listVariables } from '#common/config/environment.js';

export type SettingsClass = new () => Readonly<Record<string, unknown>>;

const ROOT = join(import.meta.dirname, '../../..');

/** Every program with settings, in the order of the path, and where its settings classes are. */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  ingestor: ['apps/ingestor/src'],
  validator: ['apps/validator/src'],
  loader: ['apps/loader/src'],
  tracker: ['apps/tracker/src'],
  cli: ['apps/cli/src', 'libs/local/src'],
};

export const PROGRAMS = Object.keys(FOLDERS);

/** The classes with variables in files named `<name>.config`: they are found on disk, so none can be forgotten. */
export async function settingsClassesOf(program: string): Promise<SettingsClass[]> {
  const found: SettingsClass[] = [];
  for (const folder of (FOLDERS[program] ?? []).map((each) => join(ROOT, each))) {
    const files = (await readdir(folder, { recursive: true })).filter((file) =>
      /\.config\.[jt]s$/.test(file),
    );
    for (const file of files.sort()) {
      const module = (await import(pathToFileURL(join(folder, file)).href)) as object;
      found.push(...(Object.values(module) as unknown[]).filter(isSettingsClass));
    }
  }
  return found;
}

function isSettingsClass(exported: unknown): exported is SettingsClass {
  return typeof exported === 'function' && listVariables(exported as SettingsClass).length > 0;
}
