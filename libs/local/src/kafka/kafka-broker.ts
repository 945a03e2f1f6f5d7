import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { childEnvironment } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ProcessPlan } from '../process-plan.js';
import { runToEnd } from '../start-process.js';
import { findJava } from './java.js';
import { ensureKafkaJars } from './kafka-jars.js';

/** One real Apache Kafka: KRaft, broker and controller in one process, on 127.0.0.1 only. */
export interface KafkaOptions {
  /** Settings, data and nothing else; made when missing. */
  readonly folder: string;
  readonly logFile: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly heapMb: number;
  /** Instead of or on top of {@link brokerSettings}: a broker behind a proxy advertises another port than its own. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/**
 * A broker that is started for minutes or hours on a machine that has other work: compiled quickly and once, collected
 * by one thread. Over a job of 1.6 million rows it takes 40 % less CPU time and resident memory so
 * (`docs/performance.md`); a broker that runs for weeks gains from the server's defaults, and is not started here.
 */
const SMALL_JVM = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

/** Topics allow values of 8 MiB; a request and its headers need some room above. */
const LARGEST_REQUEST_BYTES = 10 * 1024 * 1024;

/**
 * Fetches the jars and formats the storage when needed.
 *
 * - BK1: whatever the folder is called (blanks, commas, colons, characters of any script), Kafka runs in it: it is started
 *   there and is given relative names alone, since a comma would cut `log.dirs`, a colon the class path, and a
 *   properties file is read as Latin-1. The jars, which lie elsewhere, are reached by a link.
 * - BK2: Java asks for a locale of UTF-8 to understand the folder that it runs in; every Linux has C.UTF-8.
 * - BK3: no other user can read the folder: its segments are records.
 * @throws SluiceError REQUIREMENT_MISSING, LOCAL_START_FAILED
 */
export async function planKafka(options: KafkaOptions): Promise<ProcessPlan> {
  const [java, jars] = await Promise.all([findJava(), ensureKafkaJars()]);
  const { folder } = options;
  const data = join(folder, DATA);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700); // BK3: one that an earlier version has made
  await linkTo(jars, join(folder, JARS));
  await copyFile(join(import.meta.dirname, LOG_SETTINGS), join(folder, LOG_SETTINGS));
  await writeFile(
    join(folder, SETTINGS),
    propertiesText({ ...brokerSettings(options, DATA), ...options.settings }),
  );
  const jvm = ['-cp', `${JARS}/*`, '-Djava.awt.headless=true', `-Dlog4j2.configurationFile=${LOG_SETTINGS}`];
  if (!existsSync(join(data, 'meta.properties'))) {
    await formatStorage(java.command, jvm, options, data);
  }
  const clusterId = await clusterIdOf(data);
  return {
    name: 'kafka',
    command: java.command,
    args: [...SMALL_JVM, `-Xms64m`, `-Xmx${options.heapMb}m`, ...jvm, 'kafka.Kafka', SETTINGS],
    cwd: folder,
    env: javaEnvironment(),
    port: options.port,
    logFile: options.logFile,
    probe: () => describeBroker(`127.0.0.1:${options.port}`, clusterId),
    stopSteps: [{ signal: 'SIGTERM', waitMs: 20_000 }],
  };
}

/** Names within the broker's folder. */
const DATA = 'data';
const PARTIAL = 'data.partial';
const JARS = 'jars';
const SETTINGS = 'server.properties';
const LOG_SETTINGS = 'log4j2.properties';

/** BK2. On macOS Java takes names as UTF-8 whatever the locale is. */
function javaEnvironment(): NodeJS.ProcessEnv {
  return childEnvironment(process.platform === 'linux' ? { LC_ALL: 'C.UTF-8' } : {});
}

async function linkTo(target: string, link: string): Promise<void> {
  if ((await readlink(link).catch(() => undefined)) === target) return;
  await rm(link, { recursive: true, force: true });
  await symlink(target, link);
}

/** Exported for its test. */
export function brokerSettings(
  options: Pick<KafkaOptions, 'port' | 'controllerPort'>,
  data: string,
): Record<string, string | number | boolean> {
  const { port, controllerPort } = options;
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    // Fixed voters (not the dynamic quorum) stay right when the ports change between two starts.
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'message.max.bytes': LARGEST_REQUEST_BYTES,
    'replica.fetch.max.bytes': LARGEST_REQUEST_BYTES,
    // A second member would otherwise wait 3 s for others.
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // Default 128 MiB, of which the offsets topic needs next to nothing: a quarter of the heap.
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
  };
}

function propertiesText(settings: Record<string, string | number | boolean>): string {
  // java.util.Properties is Latin-1; a backslash escapes.
  const escaped = (text: string): string =>
    text.replace(
      /[\\\u0000-\u001f\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  const line = ([name, value]: [string, string | number | boolean]): string =>
    `${name}=${escaped(String(value))}\n`;
  return `# Written at every start by Sluice.\n${Object.entries(settings).map(line).join('')}`;
}

/** Formats under another name first: an interrupted format would count as done otherwise. */
async function formatStorage(
  java: string,
  jvm: readonly string[],
  options: KafkaOptions,
  data: string,
): Promise<void> {
  const partial = join(options.folder, PARTIAL);
  const settings = join(options.folder, 'format.properties');
  await rm(partial, { recursive: true, force: true });
  await rm(data, { recursive: true, force: true });
  await writeFile(settings, propertiesText(brokerSettings(options, PARTIAL)));
  // A cluster id is 16 bytes in base64url without padding; one that begins with `-` would be taken for an option.
  const clusterId = `S${randomBytes(16).toString('base64url').slice(1)}`;
  const arguments_ = [
    ...jvm,
    'kafka.tools.StorageTool',
    'format',
    '-t',
    clusterId,
    '-c',
    'format.properties',
  ];
  const outcome = await runToEnd(java, [...SMALL_JVM, '-Xmx128m', ...arguments_], {
    cwd: options.folder,
    env: javaEnvironment(),
  });
  await rm(settings);
  if (outcome.code !== 0) {
    const last = `${outcome.stdout}\n${outcome.stderr}`.trim().slice(-1_000);
    throw new SluiceError(
      'LOCAL_START_FAILED',
      `Kafka's storage in ${data} could not be formatted, by Java (${java}): ${last}`,
    );
  }
  await rename(partial, data);
}

async function clusterIdOf(data: string): Promise<string> {
  const file = join(data, 'meta.properties');
  const clusterId = /^cluster\.id=(.+)$/m.exec(await readFile(file, 'utf8'))?.[1]?.trim();
  if (clusterId === undefined) {
    throw new SluiceError('LOCAL_START_FAILED', `${file} names no cluster: remove ${data} to start over.`);
  }
  return clusterId;
}

/**
 * Resolves when the broker of this cluster serves clients: it lists itself only after the controller has let it in.
 * @throws an error of kafkajs, or SluiceError BROKER_UNAVAILABLE
 */
export async function describeBroker(broker: string, clusterId: string): Promise<void> {
  // Here, because every command of the command line loads this file, and few ask a broker.
  const { default: kafkajs } = await import('kafkajs');
  const client = new kafkajs.Kafka({
    clientId: 'sluice-local',
    brokers: [broker],
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 2_000,
    retry: { retries: 0 },
  });
  const admin = client.admin();
  try {
    await admin.connect();
    const { brokers, clusterId: answering } = await admin.describeCluster();
    if (answering !== clusterId) {
      throw new SluiceError(
        'BROKER_UNAVAILABLE',
        `The broker at ${broker} is of another cluster (${answering}) than ours (${clusterId}).`,
      );
    }
    if (brokers.length === 0) {
      throw new SluiceError('BROKER_UNAVAILABLE', `The broker at ${broker} has not joined its cluster yet.`);
    }
  } finally {
    await admin.disconnect();
  }
}
