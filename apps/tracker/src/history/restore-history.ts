import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { readRanges } from '#common/kafka/transport/read-ranges.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import { decodeHistory, type HistoryEntry } from '#core/history/history-message.js';
import { decodeDeadLetter } from '#core/message/dead-letter-message.js';
import { hourOf } from '#core/job/prune-stream-jobs.js';
import { HISTORY_TOPIC } from '#core/message/topics.js';
import { COUNT_COLUMNS } from '#core/repair/dead-letter-state.js';
import type { FoldRepository } from '../fold/fold.repository.js';

/** What was lost with the database and has come back. */
export interface Restored {
  readonly jobs: number;
  readonly actions: number;
  readonly decisions: number;
  /** Messages of the history that cannot be read. */
  readonly unreadable: number;
}

const GATHERED = `
  CREATE TEMP TABLE IF NOT EXISTS gathered_rows (is_job boolean, id uuid, value jsonb, PRIMARY KEY (is_job, id));
  CREATE TEMP TABLE IF NOT EXISTS gathered_decisions (
    job uuid, record bigint, state text, reason text, successor_job uuid, successor_record bigint, PRIMARY KEY (job, record));
  TRUNCATE gathered_rows, gathered_decisions`;

const DECIDED =
  'decided (job uuid, record bigint, state text, reason text, "successorJob" uuid, "successorRecord" bigint)';
const NEWER_DECISION = `state = excluded.state, reason = excluded.reason, successor_job = excluded.successor_job,
  successor_record = excluded.successor_record`;
/** RH3. */
const APPLIES = `(decided.state <> 'open' AND (decided.state <> 'resubmitted'
  OR EXISTS (SELECT FROM sluice.job WHERE job.id = decided.successor_job)))`;

/**
 * Brings back from the topic `sluice.history` what a database has lost: jobs that had ended, repair actions, and what was decided
 * about dead letters. What is in the database stays as it is, so a database that has lost nothing gains nothing.
 *
 * - RH1: of one key the last message counts.
 * - RH2: columns that this build does not have are left out; those that the message does not have get their defaults.
 * - RH3: decisions are applied to dead letters that are open, after these were indexed; groups and jobs count them. That one was
 *   resubmitted is none without a row of the repair job: what is not known any more never comes to an end.
 * - RH4: a job of a stream that was pruned stays in its hour, and gets no row again. A lost database has no hours.
 * - RH5: what the outbox still holds counts after all that the topic holds.
 */
export class HistoryRestorer {
  /** @param client kept for all of it: what was gathered is in temporary tables of its session; closed when something throws */
  constructor(
    private readonly kafka: Kafka,
    private readonly client: pg.ClientBase,
  ) {}

  /** Jobs and audit. @throws SluiceError DATABASE_REFUSED when rows are missing that the role may not insert; BROKER_UNAVAILABLE, BROKER_FAULT; what `pg` throws */
  async restoreRows(): Promise<Omit<Restored, 'decisions'>> {
    await this.client.query(GATHERED);
    const unreadable = await this.gather();
    await this.gatherOutbox();
    await this.leaveOutPruned();
    const jobs = await this.insertRows('sluice.job', true, {
      secret_uri: '',
      announced: true,
      resumable: false,
    });
    const actions = await this.insertRows('sluice.repair_action', false, {});
    return { jobs, actions, unreadable };
  }

  /** Whether decisions were gathered that the database does not have. */
  async lacksDecisions(): Promise<boolean> {
    const { rowCount } = await this.client.query(
      `SELECT FROM gathered_decisions AS decided LEFT JOIN sluice.dead_letter AS letter USING (job, record)
       WHERE ${APPLIES} AND (letter.job IS NULL OR letter.state = 'open') LIMIT 1`,
    );
    return rowCount === 1;
  }

  /**
   * RH3: the dead letters themselves, from their topics, and then what was decided about them.
   * @returns to how many a decision was applied
   */
  async restoreDecisions(folds: FoldRepository, deadTopics: readonly string[]): Promise<number> {
    for (const topic of deadTopics) {
      for await (const messages of wholeTopic(this.kafka, topic)) {
        const letters = messages.flatMap((message) => readable(() => decodeDeadLetter(message)) ?? []);
        for (let at = 0; at < letters.length; at += 500)
          await folds.indexDeadLetters(letters.slice(at, at + 500));
      }
    }
    // A tracker that starts meanwhile counts what it indexes: it waits until everything is counted again.
    await this.client.query('BEGIN');
    await this.client.query('LOCK TABLE sluice.dead_letter IN EXCLUSIVE MODE');
    const { rowCount } = await this.client.query(
      `UPDATE sluice.dead_letter AS letter
          SET state = decided.state, reason = decided.reason, successor_job = decided.successor_job,
              successor_record = decided.successor_record
         FROM gathered_decisions AS decided
        WHERE letter.job = decided.job AND letter.record = decided.record AND letter.state = 'open' AND ${APPLIES}`,
    );
    await this.countAgain();
    await this.client.query('COMMIT');
    return rowCount ?? 0;
  }

  private async gather(): Promise<number> {
    let unreadable = 0;
    for await (const messages of wholeTopic(this.kafka, HISTORY_TOPIC)) {
      for (const message of messages) {
        const entry = readable(() => decodeHistory(message));
        if (entry === null) unreadable += 1;
        else await this.keep(entry);
      }
    }
    return unreadable;
  }

  /** RH5. Services are stopped, so it may hold what no tracker has published. */
  private async gatherOutbox(): Promise<void> {
    await this.client.query(
      `INSERT INTO gathered_rows
       SELECT DISTINCT ON (key) starts_with(key, 'job:'), (value->>'id')::uuid, value FROM sluice.history_outbox
       WHERE NOT starts_with(key, 'letters:') ORDER BY key, id DESC
       ON CONFLICT (is_job, id) DO UPDATE SET value = excluded.value`,
    );
    await this.client.query(
      `INSERT INTO gathered_decisions
       SELECT DISTINCT ON (job, record) job, record, state, reason, "successorJob", "successorRecord"
       FROM sluice.history_outbox AS waiting, jsonb_to_recordset(waiting.value->'letters') AS ${DECIDED}
       WHERE starts_with(waiting.key, 'letters:') ORDER BY job, record, waiting.id DESC
       ON CONFLICT (job, record) DO UPDATE SET ${NEWER_DECISION}`,
    );
  }

  /** RH4. */
  private async leaveOutPruned(): Promise<void> {
    await this.client.query(
      `DELETE FROM gathered_rows AS gathered USING sluice.stream_hour AS known
       WHERE gathered.is_job AND gathered.value->>'stream' IS NOT NULL
         AND known.dataset = gathered.value->>'dataset' AND known.hour = ${hourOf('gathered.id')}`,
    );
  }

  /** RH1. */
  private async keep(entry: HistoryEntry): Promise<void> {
    if (entry.is !== 'letters') {
      await this.client.query(
        `INSERT INTO gathered_rows VALUES ($1, $2, $3) ON CONFLICT (is_job, id) DO UPDATE SET value = excluded.value`,
        [entry.is === 'job', entry.id, JSON.stringify(entry.row)],
      );
      return;
    }
    await this.client.query(
      `INSERT INTO gathered_decisions
       SELECT DISTINCT ON (job, record) job, record, state, reason, "successorJob", "successorRecord"
       FROM jsonb_to_recordset($1) AS ${DECIDED}
       ON CONFLICT (job, record) DO UPDATE SET ${NEWER_DECISION}`,
      [JSON.stringify(entry.decisions)],
    );
  }

  /** RH2. Where nothing is missing no right to insert is needed, which a tracker's role does not have. */
  private async insertRows(table: string, isJob: boolean, more: object): Promise<number> {
    const { rows } = await this.client.query<{ names: string[] }>(
      `SELECT DISTINCT ARRAY(
         SELECT quote_ident(attname) FROM pg_attribute
         WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND (value || $3) ? attname ORDER BY attnum) AS names
       FROM gathered_rows WHERE is_job = $2 AND NOT EXISTS (SELECT FROM ${table} AS known WHERE known.id = gathered_rows.id)`,
      [table, isJob, JSON.stringify(more)],
    );
    if (rows.length > 0) await this.assertMayInsert(table);
    let inserted = 0;
    for (const { names } of rows) {
      const columns = names.join(', ');
      const { rowCount } = await this.client.query(
        `INSERT INTO ${table} (${columns})
         SELECT ${columns} FROM (
           SELECT restored.* FROM gathered_rows, jsonb_populate_record(NULL::${table}, value || $2) AS restored
           WHERE is_job = $1 AND ARRAY(
             SELECT quote_ident(attname) FROM pg_attribute
             WHERE attrelid = $3::regclass AND attnum > 0 AND NOT attisdropped AND (value || $2) ? attname ORDER BY attnum)
             = $4::text[]) AS restored
         ON CONFLICT (id) DO NOTHING`,
        [isJob, JSON.stringify(more), table, names],
      );
      inserted += rowCount ?? 0;
    }
    return inserted;
  }

  private async assertMayInsert(table: string): Promise<void> {
    const { rows } = await this.client.query<{ may: boolean; role: string }>(
      `SELECT has_table_privilege($1, 'INSERT') AS may, current_user AS role`,
      [table],
    );
    const [right] = rows;
    if (right?.may !== false) return;
    throw new SluiceError(
      'DATABASE_REFUSED',
      `The database lacks rows of ${table} that sluice.history has, and the role ${right.role} may not insert them. Nothing was changed: run it again with the owner of the tables in DATABASE_URL.`,
    );
  }

  private async countAgain(): Promise<void> {
    const counts = COUNT_COLUMNS.map((column) => {
      const state = column.replaceAll('_', '-');
      return `count(*) FILTER (WHERE state = '${state}') AS ${column}`;
    }).join(', ');
    const assigned = (columns: readonly string[]): string =>
      columns.map((column) => `${column} = counted.${column}`).join(', ');
    await this.client.query(
      `UPDATE sluice.dead_letter_group AS known SET ${assigned(COUNT_COLUMNS)}
       FROM (SELECT group_id, ${counts} FROM sluice.dead_letter GROUP BY group_id) AS counted WHERE counted.group_id = known.id`,
    );
    await this.client.query(
      `UPDATE sluice.job_stage AS known SET ${assigned(COUNT_COLUMNS.filter((column) => column !== 'open'))}
       FROM (SELECT job, stage, ${counts} FROM sluice.dead_letter GROUP BY job, stage) AS counted
       WHERE counted.job = known.job AND counted.stage = known.stage`,
    );
  }
}

function readable<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'MESSAGE_INVALID') return null;
    throw error;
  }
}

/** Every message that a topic has now; none where there is no such topic. */
async function* wholeTopic(kafka: Kafka, topic: string) {
  let reader: TopicReader;
  try {
    reader = await TopicReader.open(kafka, topic, new Map());
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'TOPIC_MISSING') return;
    throw error;
  }
  try {
    const ranges = [...(await reader.ends())].map(([partition, { low, high }]) => ({
      ...{ partition, from: Number(low), to: Number(high) },
    }));
    yield* readRanges(reader, ranges, new AbortController().signal);
  } finally {
    await reader.close();
  }
}
