import { createHash, randomUUID } from 'node:crypto';
import { type Stats, existsSync, lstatSync, statSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import type { SystemUser } from '../process-plan.js';
import { runToEnd } from '../start-process.js';
import { type PostgresBinaries, findPostgresBinaries } from './postgres-binaries.js';

/**
 * Where PostgreSQL's programs and data lie, and as whom it runs.
 *
 * PostgreSQL refuses to run as root, so root runs it as another user, who must be able to reach both:
 * - PH1: not root: the wanted folder and node_modules, as ourselves.
 * - PH2: Root, both within that user's reach: the same, as that user.
 * - PH3: Root, one of them under a closed folder (/root, `mktemp -d`): a folder under /var/tmp whose name is made from
 *   the wanted one, with a copy of the programs; `moved-to` in the wanted folder records it, and from then on
 *   decides: the data are there. Data without a record belong to a wanted folder that was removed, and go.
 */
export interface PostgresHome {
  /** Ours; holds `data` (PostgreSQL's user's, 0700) and `password` (ours, 0600). */
  readonly folder: string;
  readonly binaries: PostgresBinaries;
  readonly user: SystemUser | undefined;
  /** PH3: everything that lies outside the wanted folder; null in the other cases. */
  readonly movedTo: string | null;
}

const FALLBACK_PARENT = '/var/tmp';
/** Customary names on Debian and Fedora, on macOS, and the one that is everywhere. */
const USER_NAMES = ['postgres', '_postgres', 'nobody'];

/** @throws SluiceError REQUIREMENT_MISSING saying what to do */
export async function preparePostgresHome(
  wanted: string,
  binaries: PostgresBinaries = findPostgresBinaries(),
): Promise<PostgresHome> {
  await mkdir(wanted, { recursive: true });
  if (process.getuid?.() !== 0) {
    return { folder: wanted, binaries, user: undefined, movedTo: null };
  }
  await chmod(wanted, 0o711);
  const user = await findUnprivilegedUser();
  const record = join(wanted, 'moved-to');
  const recorded = existsSync(record) ? (await readFile(record, 'utf8')).trim() : '';
  const hasMoved = existsSync(recorded);
  if (!hasMoved && closedFolder(wanted, user) === null && (await canRun(binaries, user)) === null) {
    return { folder: wanted, binaries, user, movedTo: null };
  }
  const movedTo = hasMoved ? recorded : fallbackFolder(wanted);
  await makeFallback(movedTo, wanted, user);
  if (!hasMoved) {
    for (const leftover of ['data', 'password'])
      await rm(join(movedTo, leftover), { recursive: true, force: true });
  }
  const copy = await copyBinaries(binaries, movedTo);
  const problem = await canRun(copy, user);
  if (problem !== null) {
    throw outOfReach(
      user,
      `and the copy of its programs in ${copy.folder} cannot be run either (${problem})`,
    );
  }
  await writeFile(record, `${movedTo}\n`);
  return { folder: movedTo, binaries: copy, user, movedTo };
}

/**
 * What preparePostgresHome would do, as a phrase; nothing is made.
 * @throws SluiceError REQUIREMENT_MISSING saying what to do
 */
export async function describeReach(wanted: string): Promise<string> {
  if (process.getuid?.() !== 0) return 'run by you';
  const user = await findUnprivilegedUser();
  const closed = closedFolder(nearestExisting(wanted), user);
  const problem = closed === null ? await canRun(findPostgresBinaries(), user) : `it may not enter ${closed}`;
  if (problem === null) return `run as ${user.name}, since you are root`;
  const toFallback = closedFolder(FALLBACK_PARENT, user);
  if (toFallback !== null) throw outOfReach(user, `and neither can it enter ${toFallback}`);
  return `run as ${user.name} in ${fallbackFolder(wanted)}, since it cannot reach this checkout (${problem})`;
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path));
}

/** @returns the outermost folder on the way to (and including) `path` that the user may not enter; null when none */
export function closedFolder(
  path: string,
  user: Pick<SystemUser, 'uid' | 'gid'>,
  statOf: (path: string) => Pick<Stats, 'uid' | 'gid' | 'mode'> = statSync,
): string | null {
  const above = dirname(path) === path ? null : closedFolder(dirname(path), user, statOf);
  if (above !== null) return above;
  const { uid, gid, mode } = statOf(path);
  // POSIX: only the first class that fits counts, even if a later one would allow more.
  const mayEnter = uid === user.uid ? mode & 0o100 : gid === user.gid ? mode & 0o010 : mode & 0o001;
  return mayEnter ? null : path;
}

/** PH3's name: from the wanted folder, so that the same checkout finds it again. */
export function fallbackFolder(wanted: string): string {
  const digest = createHash('sha256').update(wanted).digest('hex').slice(0, 16);
  return join(FALLBACK_PARENT, `sluice-${digest}`);
}

async function makeFallback(folder: string, wanted: string, user: SystemUser): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o711 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw outOfReach(user, `and ${folder} cannot be made (${messageOf(error)})`);
    }
    // Every user may write to /var/tmp: what another user put there under our name is not ours.
    const found = lstatSync(folder);
    if (!found.isDirectory() || found.uid !== 0) {
      throw outOfReach(user, `and ${folder} is there already but not ours; remove it, or`);
    }
  }
  await chmod(folder, 0o711);
  const closed = closedFolder(folder, user);
  if (closed !== null) throw outOfReach(user, `and neither can it enter ${closed}`);
  await writeFile(join(folder, 'README'), `PostgreSQL of the Sluice in ${wanted}\n`);
}

async function copyBinaries(from: PostgresBinaries, home: string): Promise<PostgresBinaries> {
  const folder = join(home, `postgres-${from.version}`);
  if (!existsSync(folder)) {
    const partial = `${folder}.partial-${randomUUID()}`;
    await cp(from.folder, partial, { recursive: true, verbatimSymlinks: true });
    await openToRead(partial);
    await rename(partial, folder).catch(async (error: unknown) => {
      await rm(partial, { recursive: true, force: true });
      if (!existsSync(folder)) throw error;
    });
  }
  return { folder, version: from.version };
}

/** As `chmod -R a+rX`: a umask of 077 may have closed the originals. */
async function openToRead(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToRead(path);
    else if (entry.isFile()) await chmod(path, (statSync(path).mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}

/** @returns why the user cannot run the server's programs, null when it can */
async function canRun(binaries: PostgresBinaries, user: SystemUser): Promise<string | null> {
  try {
    const { code, stderr } = await runToEnd(join(binaries.folder, 'bin', 'postgres'), ['--version'], {
      user,
      cwd: '/',
      env: {},
    });
    return code === 0 ? null : stderr.trim();
  } catch (error) {
    return messageOf(error);
  }
}

async function findUnprivilegedUser(): Promise<SystemUser> {
  for (const name of USER_NAMES) {
    const [uid, gid] = await Promise.all([idOf('-u', name), idOf('-g', name)]);
    if (uid !== null && gid !== null) return { name, uid, gid };
  }
  throw new SluiceError(
    'REQUIREMENT_MISSING',
    `PostgreSQL refuses to run as root, and none of the users ${USER_NAMES.join(', ')} exists: run Sluice as an ordinary user, or make a user named postgres (useradd --system postgres).`,
  );
}

/** `id` knows the users of every directory service; macOS gives `nobody` as 4294967294, spawn wants -2. */
async function idOf(flag: '-u' | '-g', name: string): Promise<number | null> {
  try {
    const { code, stdout } = await runToEnd('id', [flag, name]);
    return code === 0 ? Number(stdout.trim()) | 0 : null;
  } catch {
    const entry = (await readFile('/etc/passwd', 'utf8'))
      .split('\n')
      .find((line) => line.startsWith(`${name}:`));
    const id = entry?.split(':')[flag === '-u' ? 2 : 3];
    return id === undefined ? null : Number(id) | 0;
  }
}

function outOfReach(user: SystemUser, why: string): SluiceError {
  return new SluiceError(
    'REQUIREMENT_MISSING',
    `PostgreSQL does not run as root, the user ${user.name} cannot reach this checkout, ${why}: move the checkout to a folder that every user may enter (chmod a+x), run Sluice as an ordinary user, or set DATABASE_URL to your own server.`,
  );
}
