import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import type { JobWait } from '#api/job-facts.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type GroupProgress, groupProgress } from '#common/kafka/transport/consumer-lag.js';
import { clearWait, declareWait } from '#core/job/job-wait.js';
import { CONSUMER_GROUPS, topicOf } from '#core/message/topics.js';

/** A running job that has batches under way and has loaded none for a while. */
export interface IdleJob {
  readonly id: string;
  readonly dataset: string;
}

interface Seen {
  readonly committed: string;
  /** By `performance.now()`: since then the group has handled nothing of the topic. */
  readonly since: number;
}

const STAGES = [
  { stage: 'validate', group: CONSUMER_GROUPS.validate, kind: 'raw' },
  { stage: 'load', group: CONSUMER_GROUPS.load, kind: 'clean' },
] as const;

/** Running jobs with published batches that are not loaded, of which none was loaded for `seconds`. */
export async function findIdle(
  pool: pg.Pool,
  datasets: readonly string[],
  seconds: number,
): Promise<IdleJob[]> {
  const { rows } = await pool.query<IdleJob>(
    `SELECT id, dataset FROM sluice.job
     WHERE state = 'running' AND dataset = ANY($1)
       AND now() - $2 * interval '1 second' > coalesce(
         (SELECT max(loaded_at) FROM sluice.ledger WHERE ledger.job = job.id), job.started_at)
       AND coalesce(total_batches, (checkpoint->>'nextBatch')::bigint, 0)
         > (SELECT count(*) FROM sluice.ledger WHERE ledger.job = job.id)`,
    [datasets, seconds],
  );
  return rows;
}

/**
 * Declares what running jobs wait for between their stages: a consumer group that handles none of the messages of the job's
 * topic, because it has no member or because its members are stuck.
 */
export class StageWaits {
  private readonly seen = new Map<string, Seen>();

  constructor(
    private readonly pool: pg.Pool,
    private readonly kafka: Kafka,
    private readonly afterMs: number,
  ) {}

  async declareFor({ id, dataset }: IdleJob): Promise<void> {
    for (const { stage, group, kind } of STAGES) {
      const message = await this.whatWaits(group, topicOf(dataset, kind));
      if (message === null) continue;
      await declareWait(this.pool, id, { stage, code: 'STAGE_BEHIND', message });
      return;
    }
    await clearWait(this.pool, id, ['validate', 'load']);
  }

  /** Jobs that are not idle any more wait no longer. */
  async clearOthers(datasets: readonly string[], idle: readonly IdleJob[]): Promise<void> {
    const { rows } = await this.pool.query<{ id: string; wait: JobWait }>(
      `SELECT id FROM sluice.job WHERE state = 'running' AND dataset = ANY($1) AND id <> ALL($2)
         AND wait->>'stage' IN ('validate', 'load')`,
      [datasets, idle.map(({ id }) => id)],
    );
    for (const { id } of rows) await clearWait(this.pool, id, ['validate', 'load']);
  }

  /** @returns null when the group has nothing to handle, or has handled something lately */
  private async whatWaits(group: string, topic: string): Promise<string | null> {
    let progress: GroupProgress;
    try {
      progress = await groupProgress(this.kafka, group, topic);
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'TOPIC_MISSING')
        return `topic ${topic} is not there: run sluice migrate`;
      // A right that is missing for the inspection is most likely missing for the stage itself.
      if (error instanceof SluiceError && error.code === 'BROKER_FAULT') return error.message;
      throw error;
    }
    const { lag, committed, members } = progress;
    const key = `${group} ${topic}`;
    const before = this.seen.get(key);
    const now = performance.now();
    if (lag === 0n || before?.committed !== committed) {
      this.seen.set(key, { committed, since: now });
      return null;
    }
    if (now - before.since < this.afterMs) return null;
    const who = members === 0 ? 'has no members' : `has ${members} ${members === 1 ? 'member' : 'members'}`;
    return `consumer group ${group} ${who} and handles none of ${lag} messages in ${topic}`;
  }
}
