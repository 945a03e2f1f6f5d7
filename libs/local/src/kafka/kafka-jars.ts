import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { stripVTControlCharacters } from 'node:util';
import { childEnvironment } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { checkoutFolder } from '../folders.js';
import { type Outcome, runToEnd } from '../start-process.js';

/**
 * The broker's jars, in one folder that all systems of a checkout share.
 *
 * - KJ1: the folder exists only with exactly the listed jars in it, each with the listed SHA-256: they are fetched
 *   and checked under another name, which is then changed. So an interrupted fetch leaves nothing that counts.
 * - KJ2: which jars these are is committed (pom.xml, jars.sha256); Maven only brings them.
 */
export const KAFKA_VERSION = '4.3.0';

/** Jars that Maven brings, and what they must be (KJ2). */
export interface JarList {
  /** As messages name it: `Kafka 4.3.0`. */
  readonly name: string;
  readonly pom: string;
  /** In the format of `sha256sum`. */
  readonly checksums: string;
}

/** With its version, which a newer Maven would otherwise choose itself; 3.8 needs Maven 3.6.3. */
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
const KAFKA_JARS: JarList = {
  name: `Kafka ${KAFKA_VERSION}`,
  pom: join(import.meta.dirname, 'pom.xml'),
  checksums: join(import.meta.dirname, 'jars.sha256'),
};

export function kafkaJarsFolder(checkout = checkoutFolder()): string {
  return join(checkout, '.sluice', `kafka-${KAFKA_VERSION}`);
}

/**
 * Fetches the jars unless they are there. About 45 MB; some seconds.
 * @returns their folder
 * @throws SluiceError REQUIREMENT_MISSING when Maven is missing or cannot download, or a jar is not the listed one
 */
export async function ensureKafkaJars(
  folder = kafkaJarsFolder(),
  onFetch: () => void = () => undefined,
  list = KAFKA_JARS,
): Promise<string> {
  const listed = parseChecksums(await readFile(list.checksums, 'utf8'));
  if (await hasAll(folder, listed)) return folder;
  onFetch();
  await removeAbandoned(folder);
  const partial = `${folder}.partial-${randomUUID()}`;
  await mkdir(partial, { recursive: true });
  try {
    await fetchJars(partial, list);
    await checkJars(partial, listed, list);
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
  } catch (error) {
    // Another process may have been faster; its result is as good.
    if (await hasAll(folder, listed)) return folder;
    throw error;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}

/** Whether they are fetched already. */
export async function jarsAreThere(folder = kafkaJarsFolder()): Promise<boolean> {
  return hasAll(folder, parseChecksums(await readFile(KAFKA_JARS.checksums, 'utf8')));
}

/**
 * KJ1, read again: every listed jar is there, unchanged, and no other.
 * @throws SluiceError REQUIREMENT_MISSING naming the first that differs
 */
export async function checkJars(
  folder: string,
  listed: ReadonlyMap<string, string> | null = null,
  list = KAFKA_JARS,
): Promise<void> {
  const expected = listed ?? parseChecksums(await readFile(list.checksums, 'utf8'));
  const found = new Set(await readdir(folder));
  for (const [jar, sha256] of expected) {
    if (!found.delete(jar)) throw wrongJar(list, `${jar} is missing`);
    if ((await sha256Of(join(folder, jar))) !== sha256) throw wrongJar(list, `${jar} has another content`);
  }
  for (const jar of found) throw wrongJar(list, `${jar} is not listed`);
}

/** `sha256sum` format: 64 hex digits, two spaces, name. */
export function parseChecksums(text: string): Map<string, string> {
  const sums = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([0-9a-f]{64}) {2}(\S+\.jar)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) sums.set(match[2], match[1]);
    else if (line !== '')
      throw new SluiceError('INTERNAL', `jars.sha256 has a line that is no checksum: ${line}`);
  }
  return sums;
}

async function hasAll(folder: string, listed: ReadonlyMap<string, string>): Promise<boolean> {
  try {
    const found = new Set(await readdir(folder));
    return found.size === listed.size && [...listed.keys()].every((jar) => found.has(jar));
  } catch {
    return false;
  }
}

/** What a killed fetch left behind; a running one has touched its folder within the hour. */
async function removeAbandoned(folder: string): Promise<void> {
  const siblings = await readdir(dirname(folder)).catch(() => []);
  for (const name of siblings.filter((name) => name.startsWith(`${basename(folder)}.partial-`))) {
    const path = join(dirname(folder), name);
    const changedAt = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
    if (Date.now() - changedAt > 60 * 60 * 1000) await rm(path, { recursive: true, force: true });
  }
}

/**
 * What Maven brings for a list's POM, unchecked: for scripts/kafka-checksums.js.
 * @throws SluiceError REQUIREMENT_MISSING
 */
export async function fetchJars(
  folder: string,
  { name, pom }: Pick<JarList, 'name' | 'pom'> = KAFKA_JARS,
): Promise<void> {
  const args = ['-q', '-B', '-f', pom, COPY_GOAL];
  const flags = [`-DoutputDirectory=${folder}`, '-DincludeScope=runtime', '-Dstyle.color=never'];
  let outcome: Outcome;
  try {
    outcome = await runToEnd('mvn', [...args, ...flags], { cwd: dirname(folder), env: mavenEnvironment() });
  } catch {
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      `Maven (mvn) was not found in PATH: install Maven 3.6.3 or newer; ${name} is fetched with it once.`,
    );
  }
  if (outcome.code !== 0) {
    const output = stripVTControlCharacters(`${outcome.stdout}\n${outcome.stderr}`);
    const firstError = /^\[ERROR\] *(\S.*)$/m.exec(output)?.[1] ?? output.trim().slice(-500);
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      `Maven could not fetch ${name} (is the network, or the mirror in ~/.m2/settings.xml, within reach?): ${firstError}`,
    );
  }
}

/** A user without an entry in the user list has no home for Java, and Maven would put one named `?` here. */
function mavenEnvironment(): NodeJS.ProcessEnv {
  try {
    userInfo();
    return childEnvironment();
  } catch {
    return childEnvironment({ MAVEN_OPTS: `-Duser.home=${homedir()}` });
  }
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function wrongJar({ name }: JarList, what: string): SluiceError {
  return new SluiceError(
    'REQUIREMENT_MISSING',
    `The fetched jars of ${name} are not the ones that Sluice lists (${what}): remove that one from ~/.m2/repository and try again; if it repeats, the mirror delivers something else.`,
  );
}
