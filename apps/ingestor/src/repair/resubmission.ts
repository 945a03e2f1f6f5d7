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
import type { Dataset } from '#core/dataset/dataset.js';
import { createJob } from '#core/job/create-job.js';
import { assertLaneIsFree } from '#core/job/lanes.js';
import { topicOf } from '#core/message/topics.js';
import { planTables } from '#core/record/compile-contract.js';
import { RecordChecker } from '#core/repair/check-record.js';
import type { DeadLetterCondition } from '#core/repair/dead-letter-selection.js';
import { type DeadLetterKey, type MovedCount, countMoves } from '#core/repair/dead-letter-sums.js';
import {
  LettersToSend,
  type LetterToSend,
  type LockedDeadLetter,
  markResubmitted,
  nextPage,
} from '#core/repair/letters-to-send.js';
import { isSendable, type RecordToSend, recordToSend } from '#core/repair/record-to-send.js';
import { resubmittedMessage } from '#core/repair/resubmitted-record.js';
import type { NotSentCounts } from './not-sent.js';
import { REPAIR_PARTITION, repairJob } from './repair-job.js';

/**
 * Sends open dead letters of one dataset to its repair topic, and makes the job that reads them.
 *
 * lock a page → send and mark it → … → job row, counts, audit → commit in Kafka → commit in PostgreSQL.
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

/** RF1 to RF5, for one job. */
export class Resubmission {
  private readonly letters = new LettersToSend();
  private readonly checker: RecordChecker;
  private readonly job = uuidv7();
  private readonly moved = new Map<string, MovedCount>();
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
      await client.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [RESUBMISSION_LOCK_CLASS, name]);
      await assertLaneIsFree(client, this.newJob({ from: 0, to: 0 }, null));
      const next = await this.sendPages(client, after);
      const range = this.transaction?.sent ?? null;
      if (this.transaction === null || range === null) return { job: null, records: 0, next };
      await createJob(client, this.newJob(range, afterJob));
      await countMoves(client, [...this.moved.values()], 'open', 'resubmitted');
      await this.audit(client);
      faultPoint('repair.published');
      await this.transaction.commit();
      faultPoint('repair.committed');
      return { job: this.job, records: this.records, next };
    } finally {
      await this.transaction?.close();
    }
  }

  /** What would be sent, without a lock. */
  async count(client: pg.ClientBase): Promise<number> {
    const { condition } = this.what;
    for (let after: DeadLetterKey | null = null; ;) {
      const page = await nextPage(client, condition, this.dataset.name, after, false);
      const last = page.at(-1);
      if (last === undefined) return this.records;
      for await (const portion of this.letters.read(client, page))
        this.records += this.sendableOf(portion).length;
      after = last;
    }
  }

  /** @returns where the next job begins; null when nothing is left */
  private async sendPages(client: pg.PoolClient, after: DeadLetterKey | null): Promise<DeadLetterKey | null> {
    const { maxRecords, maxMs } = this.parts.limits;
    const beganAt = performance.now();
    for (let place = after; ;) {
      const page = await nextPage(client, this.what.condition, this.dataset.name, place, true);
      const last = page.at(-1);
      if (last === undefined) return null;
      faultPoint('repair.locked');
      for await (const portion of this.letters.read(client, page)) await this.sendPortion(client, portion);
      place = last;
      if (this.records >= maxRecords || performance.now() - beganAt >= maxMs) return place;
    }
  }

  private async sendPortion(client: pg.PoolClient, portion: readonly LetterToSend[]): Promise<void> {
    const sendable = this.sendableOf(portion);
    if (sendable.length === 0) return;
    const topic = topicOf(this.dataset.name, 'repair');
    const place = { topic, partition: REPAIR_PARTITION, transactionalId: topic };
    this.transaction ??= await PartitionTransaction.begin(this.parts.kafka, place);
    const letters = sendable.map(({ letter }) => letter);
    // Both have ended before anything is rolled back: neither may use its connection any more then.
    const outcomes = await Promise.allSettled([
      this.transaction.send(sendable.map(({ message }) => message)),
      markResubmitted(client, letters, this.job, this.records),
    ]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason as Error;
    this.records += sendable.length;
    for (const letter of letters) this.countMove(letter);
  }

  private sendableOf(portion: readonly LetterToSend[]): Sendable[] {
    const { force } = this.what;
    const { maxRecordBytes } = this.parts;
    const sendable: Sendable[] = [];
    const records: RecordToSend[] = [];
    for (const { letter, origin, edit, ...key } of portion) {
      const record = recordToSend(this.dataset, letter, origin, edit, { force, maxRecordBytes });
      if (isSendable(record)) {
        const { value } = record;
        records.push(record);
        sendable.push({
          letter: key,
          message: { ...resubmittedMessage(key, letter.attempt, record), value },
        });
      } else this.notSent.add(record.reason, record.message, `${key.job}:${key.record}`);
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
    this.moved.set(id, { ...{ job, stage, group }, count: (known?.count ?? 0) + 1 });
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
