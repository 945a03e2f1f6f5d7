import { pathToFileURL } from 'node:url';
import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { loadSettings } from '#common/config/environment.js';
import { createKafka } from '#common/kafka/kafka-client.js';
import { createPool } from '#common/postgres/pool.js';
import { createLogger } from '#common/telemetry/logger.js';
import { loadRegistry } from '#core/dataset/registry.js';
import { FoldRepository } from './fold/fold.repository.js';
import { ledgerFacts } from './fold/ledger-facts.js';
import { TrackerConfig } from './tracker.config.js';
import { TRACKER_GROUP, trackerTopics } from './tracker.module.js';

/**
 * Throws the read model away, to be made again: from the ledger here, and from the topics at the tracker's next start.
 * Either knows what the other may have lost: the ledger does not expire with the status topic, and the topic knows of
 * batches that are not loaded.
 *
 * Every tracker has to be stopped: Kafka does not move the offsets of a group that is at work (it throws).
 * Offsets go first: if this ends in between, what is read again finds itself known and changes nothing.
 */
export async function rebuild(kafka: Kafka, pool: pg.Pool, topics: readonly string[]): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    for (const topic of topics) await admin.resetOffsets({ groupId: TRACKER_GROUP, topic, earliest: true });
  } finally {
    await admin.disconnect();
  }
  const folds = new FoldRepository(pool);
  await folds.clear();
  for await (const facts of ledgerFacts(pool)) await folds.foldFacts(facts);
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
    maxConnections: 1,
  });
  try {
    await rebuild(kafka, pool, [...status, ...dead]);
    logger.info('the read model holds what the ledger knows; start the tracker to add what the topics know');
  } finally {
    await pool.end();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
