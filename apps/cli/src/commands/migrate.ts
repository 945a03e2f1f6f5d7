import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { createKafka } from '#common/kafka/kafka-client.js';
import { correctTopics, countPartitions, createTopics } from '#common/kafka/topics-admin.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import { loadRegistry } from '#core/dataset/registry.js';
import { type TopicPlan, correctedSettings, planTopics } from '#core/message/topics.js';
import { migrate as migrateTables } from '#core/schema/migrate.js';
import type { Exit } from '../exit-codes.js';
import { type CliContext, write } from './context.js';
import { warnOfLocalSystem } from './other-build.js';

/** `sluice migrate`: brings tables and topics up to date; run again, it finds nothing to do. */
export async function migrate(context: CliContext): Promise<Exit> {
  const settings = context.settings();
  const running = await context.local.state();
  const databaseUrl = settings.databaseUrl ?? running?.databaseUrl;
  const brokers = settings.kafkaBrokers ?? running?.kafkaBrokers;
  if (databaseUrl === undefined || brokers === undefined) {
    const missing = databaseUrl === undefined ? 'DATABASE_URL' : 'KAFKA_BROKERS';
    throw new SluiceError(
      'SYSTEM_UNREACHABLE',
      `${missing} is not set, and no system of this checkout is running.`,
    );
  }
  const registry = await loadRegistry(settings.extraDatasetPaths());
  const files = await reaching('DATABASE_UNAVAILABLE', () => migrateTables(databaseUrl, registry.entries()));
  const plan = planTopics(
    registry.entries().map(({ name }) => name),
    settings.topicPartitions,
  );
  const kafka = createKafka({
    brokers: brokers.split(',').map((broker) => broker.trim()),
    clientId: 'sluice-migrate',
    logger: pino({ level: 'silent' }), // what goes wrong for good is thrown and printed
  });
  const topics = await reaching('BROKER_UNAVAILABLE', () =>
    createTopics(kafka, plan, settings.topicReplication),
  );
  const existing = plan.filter(({ topic }) => !topics.includes(topic));
  const corrected = await reaching('BROKER_UNAVAILABLE', () =>
    correctTopics(kafka, existing.map(correctedSettings)),
  );
  const made = [
    ...files.map((file) => `table migration ${file}\n`),
    ...topics.map((topic) => `topic ${topic}\n`),
    ...corrected.map((setting) => `topic ${setting}\n`),
  ];
  await write(context.stdout, made.length === 0 ? 'Everything is up to date.\n' : made.join(''));
  const fewer = await reaching('BROKER_UNAVAILABLE', () => topicsWithFewerPartitions(kafka, existing));
  for (const line of fewer) await write(context.stderr, `${line}\n`);
  await warnOfLocalSystem(context);
  return 'success';
}

/** Partitions cannot be taken away, and adding some is an operator's decision: it is only said. */
async function topicsWithFewerPartitions(kafka: Kafka, plan: readonly TopicPlan[]): Promise<string[]> {
  const counts = await countPartitions(
    kafka,
    plan.map(({ topic }) => topic),
  );
  return plan.flatMap(({ topic, partitions }) => {
    const count = counts.get(topic) ?? partitions;
    if (count >= partitions) return [];
    return [
      `Topic ${topic} has fewer partitions (${count}) than SLUICE_TOPIC_PARTITIONS says (${partitions}).`,
    ];
  });
}

/** Names the part that did not answer; anything else it threw is passed on. */
async function reaching<T>(
  code: 'DATABASE_UNAVAILABLE' | 'BROKER_UNAVAILABLE',
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const isAway =
      code === 'DATABASE_UNAVAILABLE'
        ? classifyDatabaseError(cause) === 'wait'
        : /^KafkaJS/.test(nameOf(cause));
    if (!isAway) throw cause;
    const part = code === 'DATABASE_UNAVAILABLE' ? 'PostgreSQL' : 'Kafka';
    throw new SluiceError(code, `${part} cannot be reached (${messageOf(cause)}).`, {}, { cause });
  }
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');
