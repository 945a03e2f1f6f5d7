import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import type { DeadLetterSelection } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import {
  PartitionTransaction,
  type TransactionMessage,
} from '#common/kafka/transport/partition-transaction.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { createJob } from '#core/job/create-job.js';
import { assertLaneIsFree } from '#core/job/lanes.js';
import { topicOf } from '#core/message/topics.js';
import { planTables } from '#core/record/compile-contract.js';
import { BY_INDEX } from '#core/repair/by-index.js';
import { RecordChecker } from '#core/repair/check-record.js';
import type { DeadLetterCondition } from '#core/repair/dead-letter-selection.js';
import { type DeadLetterKey, type MovedCount, countMoves } from '#core/repair/dead-letter-sums.js';
import {
  LettersToSend,
  type LetterToSend,
  type LockedDeadLetter,
  markResubmitted,
} from '#core/repair/letters-to-send.js';
import { isSendable, type RecordToSend, recordToSend } from '#core/repair/record-to-send.js';
import { resubmittedMessage } from '#core/repair/resubmitted-record.js';
import type { NotSentCounts } from './not-sent.js';
import { REPAIR_PARTITION, repairJob } from './repair-job.js';

/**
 * Sends open dead letters of one dataset to its repair topic, and makes the job that reads them.
 *
 * lock and read a portion → send and mark it → … → job row, counts, audit → commit in Kafka → commit in PostgreSQL.
 *
 * - RF1: one transaction of PostgreSQL holds it together. Before its commit no dead letter is resubmitted and no job is there,
 *   whatever Kafka has; a crash leaves at most committed messages that no job reads, and the next resubmission sends
 *   the same dead letters again, behind them.
 * - RF2: Kafka commits first: a job never reads what might still be aborted.
 * - RF3: two at a time for one dataset, in any ingestors, go one after the other, under a lock; the second finds nothing open.
 *   An ingestor that stalls in the middle is fenced by the next one (`PartitionTransaction`), and its session is ended by the server.
 * - RF4: record n of the job is the n-th dead letter that was sent: by the age of the job that refused it last, then by record, and
 *   the later record of a key wins, where `keepOfDuplicates` does not say otherwise. That job is a repair job where the record was
 *   refused again: it stands behind all that was refused before that repair, whatever the age of the job that it came with.
 * - RF5: a record that the contract would skip is not sent: a skipped one is neither loaded nor refused, and would count as landed.
 * - RF6: while a portion is under way to Kafka, the next one is read, and while PostgreSQL marks it, the next one is made ready: two
 *   portions are in memory at most (G9).
 */
export interface ResubmissionParts {
  readonly kafka: Kafka;
  readonly maxRecordBytes: number;
  readonly limits: ResubmissionLimits;
}

/** When a job is closed although there are more dead letters; another one follows. */
export interface ResubmissionLimits {
  readonly maxRecords: number;
  /** Well below the time in which Kafka ends a transaction (ten minutes). */
  readonly maxMs: number;
}

export const RESUBMISSION_LIMITS: ResubmissionLimits = { maxRecords: 1_000_000, maxMs: 4 * 60_000 };

/** What is resubmitted, for all datasets. */
export interface Resubmitted {
  readonly action: string;
  readonly selection: DeadLetterSelection;
  readonly condition: DeadLetterCondition;
  readonly reason: string | null;
  readonly by: string | null;
  readonly force: boolean;
}

/** One job of a resubmission. */
export interface SentLot {
  /** Null when there was nothing to send. */
  readonly job: string | null;
  readonly records: number;
  /** Where the next one begins; null at the end. */
  readonly next: DeadLetterKey | null;
}

/** Any key that is ours alone: the first of two, the second is the dataset's. */
const RESUBMISSION_LOCK_CLASS = 0x51_1d;
/** Kafka is waited for in the middle of the transaction. */
const LONGEST_IDLE = '120s';

/** A message and the dead letter that it is of. */
interface Sendable {
  readonly letter: LockedDeadLetter;
  readonly message: TransactionMessage;
}

/** What is sent of a portion. */
interface ReadyPortion {
  readonly sendable: readonly Sendable[];
  readonly last: DeadLetterKey;
}

/** RF1 to RF6, for one job. */
export class Resubmission {
  private readonly letters = new LettersToSend();
  private readonly checker: RecordChecker;
  private readonly job = uuidv7();
  private readonly moved = new Map<string, { -readonly [name in keyof MovedCount]: MovedCount[name] }>();
  private transaction: PartitionTransaction | null = null;
  private records = 0;

  constructor(
    private readonly parts: ResubmissionParts,
    private readonly dataset: Dataset,
    private readonly what: Resubmitted,
    private readonly notSent: NotSentCounts,
  ) {
    const [table] = planTables(dataset);
    this.checker = new RecordChecker(dataset, (table?.key.length ?? 0) > 0);
  }

  /**
   * @param client in a transaction that is committed next, or rolled back
   * @param after where to begin
   * @param afterJob the job before it
   * @throws SluiceError JOB_ACTIVE; those of PartitionTransaction
   */
  async send(client: pg.PoolClient, after: DeadLetterKey | null, afterJob: string | null): Promise<SentLot> {
    const { name } = this.dataset;
    try {
      await client.query(`SELECT set_config('idle_in_transaction_session_timeout', $1, true)`, [
        LONGEST_IDLE,
      ]);
      await client.query(BY_INDEX);
      await client.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [RESUBMISSION_LOCK_CLASS, name]);
      await assertLaneIsFree(client, this.newJob({ from: 0, to: 0 }, null));
      const next = await this.sendAll(client, after);
      const range = this.transaction?.sent ?? null;
      if (this.transaction === null || range === null) return { job: null, records: 0, next };
      await createJob(client, this.newJob(range, afterJob));
      await countMoves(client, 'open', [...this.moved.values()]);
      await this.audit(client);
      faultPoint('repair.published');
      await this.transaction.commit();
      faultPoint('repair.committed');
      return { job: this.job, records: this.records, next };
    } finally {
      await this.transaction?.close();
    }
  }

  /** What would be sent, without a lock. @param client in a transaction */
  async count(client: pg.ClientBase): Promise<number> {
    await client.query(BY_INDEX);
    for await (const portion of this.walk(client, null, false))
      this.records += this.sendableOf(portion).length;
    return this.records;
  }

  /** RF6. @returns where the next job begins; null when nothing is left */
  private async sendAll(client: pg.PoolClient, after: DeadLetterKey | null): Promise<DeadLetterKey | null> {
    const { maxRecords, maxMs } = this.parts.limits;
    const beganAt = performance.now();
    const portions = this.walk(client, after, true);
    for (let ready = this.ready(await nextOf(portions)); ready !== null;) {
      const { sendable, last }: ReadyPortion = ready;
      const isFull = this.records + sendable.length >= maxRecords || performance.now() - beganAt >= maxMs;
      const [following] = await allEnded([
        this.markAndRead(client, sendable, isFull ? null : portions),
        this.publish(sendable),
      ]);
      this.records += sendable.length;
      for (const { letter } of sendable) this.countMove(letter);
      if (isFull) return last;
      ready = following;
    }
    return null;
  }

  private walk(client: SqlClient, after: DeadLetterKey | null, lock: boolean): Portions {
    const { condition } = this.what;
    return this.letters.walk(client, { condition, dataset: this.dataset.name, after, lock });
  }

  private async publish(sendable: readonly Sendable[]): Promise<void> {
    if (sendable.length === 0) return;
    const topic = topicOf(this.dataset.name, 'repair');
    const place = { topic, partition: REPAIR_PARTITION, transactionalId: topic };
    this.transaction ??= await PartitionTransaction.begin(this.parts.kafka, place);
    await this.transaction.send(sendable.map(({ message }) => message));
  }

  /** Reads the next portion, and makes it ready while this one is marked: one statement at a time. */
  private async markAndRead(
    client: pg.PoolClient,
    sendable: readonly Sendable[],
    portions: Portions | null,
  ): Promise<ReadyPortion | null> {
    const portion = portions === null ? null : await nextOf(portions);
    const letters = sendable.map(({ letter }) => letter);
    const marking = letters.length > 0 ? markResubmitted(client, letters, this.job, this.records) : null;
    const [, ready] = await allEnded([marking, Promise.resolve(portion).then((next) => this.ready(next))]);
    return ready;
  }

  private ready(portion: readonly LetterToSend[] | null): ReadyPortion | null {
    const last = portion?.at(-1);
    if (portion === null || last === undefined) return null;
    faultPoint('repair.locked');
    return { sendable: this.sendableOf(portion), last: { job: last.job, record: last.record } };
  }

  private sendableOf(portion: readonly LetterToSend[]): Sendable[] {
    const { force } = this.what;
    const { maxRecordBytes } = this.parts;
    const sendable: Sendable[] = [];
    const records: RecordToSend[] = [];
    for (const letter of portion) {
      const record = recordToSend(this.dataset, letter.letter, letter.origin, letter.edit, {
        force,
        maxRecordBytes,
      });
      if (isSendable(record)) {
        const { key, headers } = resubmittedMessage(letter, letter.letter.attempt, record);
        records.push(record);
        sendable.push({ letter, message: { key, headers, value: record.value } });
      } else this.notSent.add(record.reason, record.message, `${letter.job}:${letter.record}`);
    }
    const blank = this.blankOf(records);
    for (const at of blank) {
      const { job, record } = sendable[at]?.letter ?? { job: '', record: 0 };
      this.notSent.add('BLANK', 'all its fields are empty, so it would be skipped', `${job}:${record}`);
    }
    return blank.size === 0 ? sendable : sendable.filter((_, at) => !blank.has(at));
  }

  /** RF5. Where the contract's own code fails, the validator of the repair job says so. */
  private blankOf(records: readonly RecordToSend[]): ReadonlySet<number> {
    try {
      const checked = this.checker.check(records);
      return new Set(checked.flatMap(({ outcome }, at) => (outcome === 'skipped' ? [at] : [])));
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'DATASET_CODE_FAILED') return new Set();
      throw error;
    }
  }

  private countMove({ job, stage, group }: LockedDeadLetter): void {
    const id = `${job} ${stage} ${group ?? ''}`;
    const known = this.moved.get(id);
    if (known === undefined) this.moved.set(id, { job, stage, group, to: 'resubmitted', count: 1 });
    else known.count += 1;
  }

  private newJob(range: { from: number; to: number }, afterJob: string | null) {
    return repairJob(this.dataset, this.job, this.what.action, range, afterJob);
  }

  private async audit(client: pg.PoolClient): Promise<void> {
    const { action, selection, reason, by } = this.what;
    await client.query(
      `INSERT INTO sluice.repair_action AS known (id, action, selection, reason, by_whom, dead_letters)
       VALUES ($1, 'resubmit', $2, $3, $4, $5)
       ON CONFLICT (id) DO UPDATE SET dead_letters = known.dead_letters + excluded.dead_letters`,
      [action, JSON.stringify(selection), reason, by, this.records],
    );
  }
}

type Portions = AsyncGenerator<readonly LetterToSend[], void>;

async function nextOf(portions: Portions): Promise<readonly LetterToSend[] | null> {
  const step = await portions.next();
  return step.done === true ? null : step.value;
}

/**
 * Waits for all of them, failed ones too: none uses its connection any more when the transaction is rolled back.
 * @throws what the first of them has failed with
 */
async function allEnded<T extends readonly unknown[]>(
  work: T,
): Promise<{ -readonly [at in keyof T]: Awaited<T[at]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
