import type { Kafka } from 'kafkajs';
import { ownCommand } from '#common/access/audit-log.js';
import { correctTopics, countPartitions, createTopics } from '#common/kafka/transport/topics-admin.js';
import { loadRegistry } from '#core/registry/registry.js';
import { type TopicPlan, correctedSettings, inboxesOf, planTopics } from '#core/message/topics.js';
import { migrateAll } from '#core/schema/migrate.js';
import type { Exit } from '../exit-codes.js';
import { kafkaAt, reachingBrokers } from './brokers.js';
import { type CliContext, write } from './context.js';
import { knownServers } from './known-servers.js';
import { warnOfLocalSystem } from './other-build.js';
import { withAudit } from './with-audit.js';

/** `sluice migrate`: brings tables and topics up to date; run again, it finds nothing to do. */
export async function migrate(context: CliContext, options: { adopt?: string } = {}): Promise<Exit> {
  const settings = context.settings();
  const { databaseUrl, brokers } = await knownServers(context);
  const registry = await loadRegistry(settings.extraDatasetPaths());
  const { adopt } = options;
  // An unknown name would adopt nothing, without a word.
  if (adopt !== undefined) registry.get(adopt);
  const said: Promise<void>[] = [];
  const { problems } = await migrateAll(databaseUrl, registry.entries(), {
    adopt: adopt === undefined ? [] : [adopt],
    onApplied: (name) => said.push(write(context.stdout, `table migration ${name}\n`)),
  });
  await Promise.all(said);
  const plan = planTopics(
    registry.entries().map(({ name }) => name),
    settings.topicPartitions,
    inboxesOf(registry.all()),
  );
  const kafka = await kafkaAt(context, brokers, 'sluice-migrate');
  const topics = await reachingBrokers(() => createTopics(kafka, plan, settings.topicReplication));
  const existing = plan.filter(({ topic }) => !topics.includes(topic));
  const corrected = await reachingBrokers(() => correctTopics(kafka, existing.map(correctedSettings)));
  for (const topic of [...topics, ...corrected]) await write(context.stdout, `topic ${topic}\n`);
  if (said.length + topics.length + corrected.length + problems.length === 0) {
    await write(context.stdout, 'Everything is up to date.\n');
  } else {
    // Afterwards: the first migration makes the table of the audit.
    await withAudit(databaseUrl, (log) => log.record(ownCommand('migrate'), problems[0]?.code ?? 'ok'));
  }
  const fewer = await reachingBrokers(() => topicsWithFewerPartitions(kafka, existing));
  for (const line of fewer) await write(context.stderr, `${line}\n`);
  await warnOfLocalSystem(context);
  const [problem, ...others] = problems;
  for (const other of others) await write(context.stderr, `${other.message} [${other.code}]\n`);
  if (problem !== undefined) throw problem;
  return 'success';
}

/** Partitions cannot be taken away, and adding some is an operator's decision: it is only said. */
async function topicsWithFewerPartitions(kafka: Kafka, plan: readonly TopicPlan[]): Promise<string[]> {
  const counts = await countPartitions(
    kafka,
    plan.map(({ topic }) => topic),
  );
  return plan.flatMap(({ topic, partitions, isForeign }) => {
    const count = counts.get(topic) ?? partitions;
    if (count >= partitions) return [];
    return [
      isForeign
        ? `Topic ${topic} has fewer partitions (${count}) than a new one would have (${partitions}).`
        : `Topic ${topic} has fewer partitions (${count}) than SLUICE_TOPIC_PARTITIONS says (${partitions}).`,
    ];
  });
}
