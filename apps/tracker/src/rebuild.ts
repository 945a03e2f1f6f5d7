import { pathToFileURL } from 'node:url';
import type { Admin, Kafka } from 'kafkajs';
import type pg from 'pg';
import { pino } from 'pino';
import { AuditLog, ownCommand } from '#common/access/audit-log.js';
import { loadSettings } from '#common/config/environment.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { GroupOffsets } from '#common/kafka/transport/group-offsets.js';
import { withAdmin } from '#common/kafka/transport/topics-admin.js';
import { createPool } from '#common/postgres/pool.js';
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
 * - TB1: no tracker may run. The group's members are counted first, so that nothing was changed when there is one.
 * - TB2: the offsets are reset in the transaction that empties the read model, while every fold waits for it. Kafka does not reset
 *   those of a group with members: then it is undone. A tracker that joins afterwards reads from the beginning, and what it folds
 *   comes into the emptied tables. If the commit fails, what is read again is known already and changes nothing.
 *
 * @throws SluiceError TRACKER_RUNNING; BROKER_UNAVAILABLE; DATABASE_UNAVAILABLE; what kafkajs throws
 */
export async function rebuild(
  kafka: Kafka,
  pool: pg.Pool,
  topics: readonly string[],
  groups: DatasetGroups,
): Promise<void> {
  const folds = new FoldRepository(pool, groups);
  await withAdmin(kafka, async (admin) => {
    await assertNoTracker(admin);
    const offsets = new GroupOffsets(kafka);
    try {
      await folds.clear(async () => {
        for (const topic of topics) await resetOffsets(offsets, admin, topic);
      });
    } finally {
      await offsets.close();
    }
  });
  for await (const facts of ledgerFacts(pool)) await folds.foldFacts(facts);
}

/** kafkajs' own way starts a consumer for each topic, and waits seconds for it. */
async function resetOffsets(offsets: GroupOffsets, admin: Admin, topic: string): Promise<void> {
  const ends = await admin.fetchTopicOffsets(topic);
  try {
    await offsets.commit(
      TRACKER_GROUP,
      topic,
      new Map(ends.map(({ partition, low }) => [partition, Number(low)])),
    );
  } catch (error) {
    await assertNoTracker(admin);
    throw error;
  }
}

/** TB1 @throws SluiceError TRACKER_RUNNING */
async function assertNoTracker(admin: Admin): Promise<void> {
  const { groups } = await admin.describeGroups([TRACKER_GROUP]);
  const hosts = groups.flatMap(({ members }) =>
    members.map(({ clientHost }) => clientHost.replace(/^\//, '')),
  );
  if (hosts.length === 0) return;
  throw new SluiceError(
    'TRACKER_RUNNING',
    `${hosts.length === 1 ? 'A tracker runs' : `${hosts.length} trackers run`} (${hosts.join(', ')}). One that was killed counts until its session is over (SLUICE_SESSION_TIMEOUT_MS).`,
  );
}

/**
 * {@link rebuild}, and before it and behind it what a lost database had besides its read model, from the topic `sluice.history`:
 * jobs that had ended, repair actions, what was decided about dead letters. A database that has lost nothing stays as it is. It may be
 * repeated, also after it was ended in the middle.
 * @throws SluiceError as {@link rebuild}; DATABASE_REFUSED when rows are missing that the role may not insert
 */
export async function rebuildAll(
  kafka: Kafka,
  pool: pg.Pool,
  topics: { readonly status: readonly string[]; readonly dead: readonly string[] },
  groups: DatasetGroups,
): Promise<Restored> {
  await withAdmin(kafka, assertNoTracker);
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

/** The process behind `sluice rebuild`: one object on standard output, `Restored` or `{error}`, and code 0 or 1. */
async function main(): Promise<void> {
  try {
    process.stdout.write(`${JSON.stringify(await rebuildAsConfigured(loadSettings(TrackerConfig)))}\n`);
  } catch (error) {
    const { code, place } = error instanceof SluiceError ? error : { code: 'INTERNAL', place: {} };
    process.stdout.write(`${JSON.stringify({ error: { code, message: messageOf(error), place } })}\n`);
    process.exitCode = 1;
  }
}

async function rebuildAsConfigured(config: TrackerConfig): Promise<Restored> {
  const registry = await loadRegistry(config.extraDatasetPaths());
  const { status, dead } = trackerTopics(registry.all().map(({ name }) => name));
  const kafka = createKafka({
    ...{ brokers: config.brokers(), clientId: 'sluice-tracker-rebuild', logger: pino({ level: 'silent' }) },
    ...config.kafkaSecurity(),
  });
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: 'sluice tracker rebuild',
    maxConnections: 2,
  });
  try {
    return await new AuditLog(pool).around(ownCommand('rebuild'), () =>
      rebuildAll(kafka, pool, { status, dead }, new DatasetGroups(registry)),
    );
  } finally {
    await pool.end();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
