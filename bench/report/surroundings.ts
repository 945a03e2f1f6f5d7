import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';
import type pg from 'pg';
import { childEnvironment } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { KAFKA_VERSION } from '#local/kafka/kafka-jars.js';
import { LocalConfig } from '#local/local.config.js';
import { loadSettings } from '#common/config/environment.js';
import { runToEnd } from '#local/start-process.js';
import type { Machine } from './result.js';

/** What a measurement depends on besides the code. Nothing of it names a host, a path, an address or a port. */

export function machine(): Machine {
  const cores = cpus();
  return {
    cores: cores.length,
    cpu: cores[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
  };
}

/** @throws SluiceError REQUIREMENT_MISSING when psql is not there */
export async function clientVersions(): Promise<Record<string, string>> {
  const { version: kafkajs } = createRequire(import.meta.url)('kafkajs/package.json') as { version: string };
  return { Node: process.versions.node, kafkajs, Kafka: KAFKA_VERSION, psql: await psqlVersion() };
}

async function psqlVersion(): Promise<string> {
  const outcome = await runToEnd('psql', ['--version']).catch(() => undefined);
  if (outcome?.code !== 0) {
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      'psql was not found in PATH, and the baselines are measured with it: install the client of PostgreSQL ' +
        '(Debian and Ubuntu: apt install postgresql-client; Fedora: dnf install postgresql; macOS: brew install libpq).',
    );
  }
  return /\d+(\.\d+)*/.exec(outcome.stdout)?.[0] ?? outcome.stdout.trim();
}

/** @param folder of the checkout */
export async function commitOf(
  folder: string,
): Promise<{ readonly commit: string; readonly dirty: boolean }> {
  const git = async (...args: string[]): Promise<string | undefined> => {
    const outcome = await runToEnd('git', args, { cwd: folder }).catch(() => undefined);
    return outcome?.code === 0 ? outcome.stdout.trim() : undefined;
  };
  const commit = await git('rev-parse', 'HEAD');
  if (commit === undefined) return { commit: 'unknown', dirty: false };
  // A result that is not committed yet changes nothing.
  return { commit, dirty: (await git('status', '--porcelain', '--', '.', ':!bench/results')) !== '' };
}

/** Of PostgreSQL itself: `18.4`. */
export async function serverVersion(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ version: string }>(
    `SELECT current_setting('server_version') AS version`,
  );
  return rows[0]?.version.split(' ')[0] ?? 'unknown';
}

/**
 * What was set for PostgreSQL, and what readers ask about even at its default. What only our connection or PostgreSQL
 * itself has set, and where things are, is left out.
 */
const POSTGRES_SETTINGS = `
  SELECT name, current_setting(name) AS value FROM pg_settings
  WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'maintenance_work_mem', 'work_mem')
     OR source NOT IN ('default', 'client', 'session', 'override')
    AND name NOT IN ('port', 'listen_addresses', 'unix_socket_directories', 'application_name')
    AND NOT name LIKE 'lc\\_%' AND NOT setting LIKE '%/%'
  ORDER BY name`;

/**
 * @param brokerProperties the broker's properties file
 * @returns `postgres.<name>`, `kafka.<property>`, `jvm.heap`
 */
export async function serverSettings(
  client: pg.Client,
  brokerProperties: string,
): Promise<Record<string, string>> {
  const { rows } = await client.query<{ name: string; value: string }>(POSTGRES_SETTINGS);
  return Object.fromEntries([
    ...rows.map(({ name, value }) => [`postgres.${name}`, value]),
    ...tellableProperties(readFileSync(brokerProperties, 'utf8')).map(([name, value]) => [
      `kafka.${name}`,
      value,
    ]),
    ['jvm.heap', `${loadSettings(LocalConfig).kafkaHeapMb} MB`],
  ]) as Record<string, string>;
}

/** Of a properties file, without paths, addresses and ports. */
export function tellableProperties(text: string): [name: string, value: string][] {
  return text
    .split('\n')
    .filter((line) => line.includes('=') && !line.startsWith('#'))
    .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
    .filter(([, value]) => !/[/\\]|:\d/.test(value));
}

/** What services read: `service.SLUICE_…`, without files, folders and secrets. */
export function serviceSettings(environment: NodeJS.ProcessEnv = childEnvironment()): Record<string, string> {
  const set = Object.entries(environment).flatMap(([name, value]) =>
    name.startsWith('SLUICE_') && !SECRET_OR_PLACE.test(name) && value !== undefined && !value.includes('/')
      ? [[`service.${name}`, value] as const]
      : [],
  );
  return Object.fromEntries(set.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const SECRET_OR_PLACE = /(_FILE|_FOLDER|_PATHS|_TOKEN|_SECRET|_PASSWORD|_HOST|_PORT|_URL)$|_BENCH_|_TEST_/;
