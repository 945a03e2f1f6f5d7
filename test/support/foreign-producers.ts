import { join } from 'node:path';
import { childEnvironment } from '#common/config/environment.js';
import { findJava } from '#local/kafka/java.js';
import { ensureKafkaJars } from '#local/kafka/kafka-jars.js';
import { runToEnd } from '#local/start-process.js';
import { librdkafkaFolder } from './foreign-clients.js';

const PRODUCERS = join(import.meta.dirname, '../fixtures/producers');

/** Clients of others, each of which sends the same messages: 60 to partition 0 of each topic. */
export type ForeignClient = 'apache' | 'kafkajs' | 'librdkafka' | 'platformatic';
export const SENT_COUNT = 60;

/**
 * Runs a client in a process of its own, as it comes.
 * @param prefix of the topics, which it sends to by the names of codecs
 */
export async function runProducer(
  client: ForeignClient,
  brokers: readonly string[],
  prefix: string,
): Promise<void> {
  const [command, ...args] = await commandOf(client);
  const given = [...args, brokers.join(','), prefix, String(SENT_COUNT)];
  const env = client === 'librdkafka' ? await pythonEnvironment() : childEnvironment();
  const { code, stderr } = await runToEnd(command, given, { env });
  if (code !== 0) throw new Error(`The producer ${client} failed: ${stderr}`);
}

async function commandOf(client: ForeignClient): Promise<[string, ...string[]]> {
  if (client === 'librdkafka') return ['python3', join(PRODUCERS, 'librdkafka.py')];
  if (client !== 'apache') return [process.execPath, join(PRODUCERS, `${client}.mjs`)];
  const [java, jars] = await Promise.all([findJava(), ensureKafkaJars()]);
  return [java.command, '-cp', join(jars, '*'), join(PRODUCERS, 'Produce.java')];
}

async function pythonEnvironment(): Promise<NodeJS.ProcessEnv> {
  return childEnvironment({ PYTHONPATH: (await librdkafkaFolder()) ?? '' });
}
