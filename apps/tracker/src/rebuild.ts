import { pathToFileURL } from 'node:url';
import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { loadSettings } from '#common/config/environment.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { createPool } from '#common/postgres/pool.js';
import { createLogger } from '#common/telemetry/logger.js';
import { loadRegistry } from '#core/registry/registry.js';
import { DatasetGroups } from './fold/dataset-groups.js';
import { FoldRepository } from './fold/fold.repository.js';
import { HistoryRestorer, type Restored } from './history/restore-history.js';
import { ledgerFacts } from './fold/ledger-facts.js';
import { TrackerConfig } from './tracker.config.js';
import { TRACKER_GROUP, trackerTopics } from './tracker.module.js';

/**
 * Deletes the read model, but for dead letters that something was decided about, and builds it again: from the ledger
 * here, and from the topics at the tracker's next start. Each has what the other may have lost: the ledger does not expire
 * with the status topic, and the topic has batches that are not loaded.
 *
 * Every tracker has to be stopped: Kafka does not move the offsets of a group that is at work (it throws).
 * Offsets go first: if this ends in between, what is read again is known already and changes nothing.
 */
export async function rebuild(
  kafka: Kafka,
  pool: pg.Pool,
  topics: readonly string[],
  groups: DatasetGroups,
): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    for (const topic of topics) await admin.resetOffsets({ groupId: TRACKER_GROUP, topic, earliest: true });
  } finally {
    await admin.disconnect();
  }
  const folds = new FoldRepository(pool, groups);
  await folds.clear();
  for await (const facts of ledgerFacts(pool)) await folds.foldFacts(facts);
}

/**
 * {@link rebuild}, and before it and behind it what a lost database had besides its read model, from the topic `sluice.history`:
 * jobs that had ended, the audit, what was decided about dead letters. A database that has lost nothing stays as it is.
 */
export async function rebuildAll(
  kafka: Kafka,
  pool: pg.Pool,
  topics: { readonly status: readonly string[]; readonly dead: readonly string[] },
  groups: DatasetGroups,
): Promise<Restored> {
  const client = await pool.connect();
  try {
    const restorer = new HistoryRestorer(kafka, client);
    const rows = await restorer.restoreRows();
    await rebuild(kafka, pool, [...topics.status, ...topics.dead], groups);
    const decisions = (await restorer.lacksDecisions())
      ? await restorer.restoreDecisions(new FoldRepository(pool, groups), topics.dead)
      : 0;
    return { ...rows, decisions };
  } finally {
    client.release(true);
  }
}

async function main(): Promise<void> {
  const config = loadSettings(TrackerConfig);
  const logger = createLogger('tracker', config.logLevel);
  const registry = await loadRegistry(config.extraDatasetPaths());
  const { status, dead } = trackerTopics(registry.all().map(({ name }) => name));
  const kafka = createKafka({
    ...{ brokers: config.brokers(), clientId: 'sluice-tracker-rebuild', logger },
    ...config.kafkaSecurity(),
  });
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: 'sluice tracker rebuild',
    maxConnections: 2,
  });
  try {
    const restored = await rebuildAll(kafka, pool, { status, dead }, new DatasetGroups(registry));
    if (restored.jobs + restored.actions + restored.decisions > 0)
      logger.info(restored, 'what the database had lost is back from sluice.history');
    if (restored.unreadable > 0)
      logger.warn({ unreadable: restored.unreadable }, 'messages of sluice.history cannot be read');
    logger.info('the read model holds what the ledger holds; start the tracker to add what the topics hold');
  } finally {
    await pool.end();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
