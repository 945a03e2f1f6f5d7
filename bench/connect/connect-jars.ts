import { join } from 'node:path';
import { checkoutFolder } from '#local/folders.js';
import { type JarList, KAFKA_VERSION, ensureKafkaJars } from '#local/kafka/kafka-jars.js';

/** Of io.debezium:debezium-connector-jdbc; the newest whose jars are all on Maven Central but for its connection pool. */
export const DEBEZIUM_VERSION = '3.6.0.Final';

const WORKER = listOf('worker', `Kafka Connect ${KAFKA_VERSION}`);
const DEBEZIUM = listOf('debezium', `Debezium's JDBC sink ${DEBEZIUM_VERSION}`);

/** Where the jars are. */
export interface ConnectJars {
  readonly worker: string;
  /** For `plugin.path`: a folder with one folder for each plugin. */
  readonly plugins: string;
}

/**
 * Fetches both lists unless they are there, as the broker's jars are: about 90 MB.
 * @throws SluiceError REQUIREMENT_MISSING when they cannot be had
 */
export async function ensureConnectJars(checkout = checkoutFolder()): Promise<ConnectJars> {
  const plugins = join(checkout, '.sluice', `connect-plugins-${DEBEZIUM_VERSION}`);
  const worker = join(checkout, '.sluice', `connect-${KAFKA_VERSION}`);
  await ensureKafkaJars(worker, undefined, WORKER);
  await ensureKafkaJars(join(plugins, 'debezium-jdbc'), undefined, DEBEZIUM);
  return { worker, plugins };
}

function listOf(folder: string, name: string): JarList {
  const place = join(import.meta.dirname, folder);
  return { name, pom: join(place, 'pom.xml'), checksums: join(place, 'jars.sha256') };
}
