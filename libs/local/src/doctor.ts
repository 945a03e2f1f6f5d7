import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import type { Requirement } from './local-system.js';
import type { LocalFolder } from './folders.js';
import { freeBytes } from './free-space.js';
import { isPortFree } from './free-ports.js';
import { findJava, tryToRun } from './kafka/java.js';
import { KAFKA_VERSION, checkJars, kafkaJarsFolder, jarsAreThere } from './kafka/kafka-jars.js';
import type { LocalConfig } from './local.config.js';
import { findPostgresBinaries, platformProblem, usesGlibc } from './postgres/postgres-binaries.js';
import { describeReach } from './postgres/postgres-home.js';
import { isAlive } from './process-identity.js';
import { lockHolder } from './supervisor-lock.js';
import { readState } from './system-state.js';

/** package.json `engines`. */
const OLDEST_NODE = [20, 19] as const;
/** Kafka and PostgreSQL start with about 0.3 GB; a load of a million rows wants some more. */
const LEAST_FREE_BYTES = 1024 ** 3;

/**
 * The quick part of checkMachine, before anything is started.
 * @throws SluiceError REQUIREMENT_MISSING with the first thing to do
 */
export async function requireMachine(folder: LocalFolder, config: LocalConfig): Promise<void> {
  const checks = [checkPlatform(config), checkNode(), checkDisk(folder)];
  if (config.kafkaBrokers === undefined) checks.push(await checkJava());
  for (const { ok, detail, action } of checks) {
    if (!ok) throw new SluiceError('REQUIREMENT_MISSING', [detail, action].filter(Boolean).join(' '));
  }
}

/** Everything that a local system needs of this machine; what is not needed with the given settings is left out. */
export async function checkMachine(folder: LocalFolder, config: LocalConfig): Promise<Requirement[]> {
  const needsKafka = config.kafkaBrokers === undefined;
  const needsPostgres = config.databaseUrl === undefined;
  return [
    checkPlatform(config),
    checkNode(),
    ...(needsKafka ? [await checkJava(), await checkMaven(), await checkKafka()] : []),
    ...(needsPostgres ? [await checkPostgres(folder)] : []),
    checkDisk(folder),
    await checkPorts(folder),
    checkLeftovers(folder),
    await checkPsql(),
  ];
}

function checkPlatform(config: LocalConfig): Requirement {
  const problem =
    config.databaseUrl === undefined || process.platform === 'win32'
      ? platformProblem(process.platform, process.arch, usesGlibc())
      : null;
  const detail = `${process.platform} on ${process.arch}`;
  return problem === null ? met('platform', detail) : unmet('platform', `${detail} cannot run it.`, problem);
}

function checkNode(): Requirement {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  if (fits) return met('Node', process.versions.node);
  return unmet(
    'Node',
    `Node is ${process.versions.node}.`,
    `Install Node ${OLDEST_NODE.join('.')} or newer.`,
  );
}

async function checkJava(): Promise<Requirement> {
  try {
    const { command, version } = await findJava();
    return met('Java', `${version} (${command})`);
  } catch (error) {
    return unmet('Java', messageOf(error), null);
  }
}

async function checkMaven(): Promise<Requirement> {
  const outcome = await tryToRun('mvn', ['-B', '--version']);
  if (outcome !== null && outcome.code === 0) {
    return met('Maven', /Apache Maven (\S+)/.exec(outcome.stdout)?.[1] ?? 'found');
  }
  if (await jarsAreThere()) return met('Maven', 'not found, and not needed: Kafka is fetched already');
  return unmet(
    'Maven',
    'mvn was not found in PATH, or does not run.',
    'Install Maven 3.6.3 or newer; it fetches Kafka.',
  );
}

async function checkKafka(): Promise<Requirement> {
  if (!(await jarsAreThere())) return met('Kafka', `${KAFKA_VERSION} is fetched at the first start`);
  try {
    await checkJars(kafkaJarsFolder());
    return met('Kafka', `${KAFKA_VERSION}, every jar as listed`);
  } catch (error) {
    return unmet('Kafka', messageOf(error), `Remove ${kafkaJarsFolder()}; the next start fetches it again.`);
  }
}

async function checkPostgres(folder: LocalFolder): Promise<Requirement> {
  try {
    const { version } = findPostgresBinaries();
    return met('PostgreSQL', `${version}, ${await describeReach(folder.postgres)}`);
  } catch (error) {
    return unmet('PostgreSQL', messageOf(error), null);
  }
}

function checkDisk(folder: LocalFolder): Requirement {
  const free = freeBytes(folder.path);
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free for ${folder.path}`;
  return free >= LEAST_FREE_BYTES
    ? met('disk', detail)
    : unmet(
        'disk',
        `Only ${detail}.`,
        `Free at least ${LEAST_FREE_BYTES / 1024 ** 3} GiB, or set SLUICE_LOCAL_FOLDER to a roomier place.`,
      );
}

async function checkPorts(folder: LocalFolder): Promise<Requirement> {
  const state = readState(folder.state);
  const isRunning = lockHolder(folder.lock) !== null;
  const ports = Object.entries(state?.ports ?? {});
  if (isRunning || ports.length === 0) {
    return met(
      'ports',
      isRunning ? 'in use by the running system' : 'free ones are chosen at the first start',
    );
  }
  const taken: string[] = [];
  for (const [name, port] of ports) if (!(await isPortFree(port))) taken.push(`${port} (${name})`);
  return met(
    'ports',
    taken.length === 0
      ? 'the remembered ones are free'
      : `taken by others: ${taken.join(', ')}; free ones replace them`,
  );
}

function checkLeftovers(folder: LocalFolder): Requirement {
  const holder = lockHolder(folder.lock);
  if (holder !== null) return met('processes', `the supervisor runs (pid ${holder.pid})`);
  const left = (readState(folder.state)?.processes ?? []).filter(({ ref }) => ref !== null && isAlive(ref));
  if (left.length === 0) return met('processes', 'nothing is left of an earlier start');
  const names = left.map(({ name, ref }) => `${name} (pid ${ref?.pid ?? '?'})`).join(', ');
  return unmet(
    'processes',
    `A crash left these running: ${names}.`,
    'Run `npx sluice down`, which ends them; `npx sluice up` does so too.',
  );
}

async function checkPsql(): Promise<Requirement> {
  const outcome = await tryToRun('psql', ['--version']);
  const version = outcome?.code === 0 ? outcome.stdout.trim() : null;
  return met('psql', version ?? 'not found in PATH; only needed to look at the tables yourself');
}

function met(name: string, detail: string): Requirement {
  return { name, ok: true, detail, action: null };
}

function unmet(name: string, detail: string, action: string | null): Requirement {
  return { name, ok: false, detail, action };
}
