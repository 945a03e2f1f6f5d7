import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { DiscardedWork, JobCounts, JobError, JobProblem, PauseDetail } from '#api/job-facts.js';
import type { JobWait } from '#api/job-facts.js';
import type { JobState, PauseReason } from '#api/job-words.js';
import type { SluiceError } from '#common/errors/sluice-error.js';
import { bigintAsNumber } from '#common/postgres/typeorm.js';
import type { Breaker, ExistingKeys, OptionValues, SourceFormat, WriteMode } from '../dataset/dataset.js';
import type { LineEnd } from '../record/line-ends.js';
import type { OwnPart } from '../source/own-part.js';
import type { SourceIdentity } from '../source/source-identity.js';

/** Where the records come from. Credentials stand in `secretUri` only, which no API, log or event shows. */
export interface JobSource {
  /** Name of a registered kind of source (`apps/ingestor/src/sources`). */
  readonly kind: string;
  /** The address without credentials and query values, fit to be shown. */
  readonly display: string;
  /** The kind's own; absent in older jobs, see `ownPartOf`. */
  readonly own?: OwnPart;
}

/** What the kind keeps of its own. Jobs of builds without own parts hold its members beside `kind` and `display`. */
export function ownPartOf({ kind: _kind, display: _display, own, ...older }: JobSource): OwnPart {
  return own ?? older;
}

/** How a job is cut: pinned at the start, so that a resumed job re-cuts the same batches. */
export interface PinnedCutting {
  readonly format: SourceFormat;
  /** Absent in jobs from before there was a choice: `lf`. */
  readonly lineEnd?: LineEnd;
  readonly maxBatchBytes: number;
  readonly maxBatchRecords: number;
  readonly maxRecordBytes: number;
  /** Partitions of the raw topic when the job began: batch n goes to partition n mod this. */
  readonly partitions: number;
}

/** What the source's header said, pinned when the job began to run. */
export interface PinnedHead {
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
  readonly dataStart: number;
  readonly firstLine: number;
  /** Bytes and lines before the first record, counted apart from the prologue; absent in older jobs. */
  readonly bytes?: number;
  readonly lines?: number;
}

/** The highest contiguous acknowledged batch, and where the source continues after it. */
export interface Checkpoint {
  /** Next batch to publish; everything before it is acknowledged by the broker. */
  readonly nextBatch: number;
  readonly byteOffset: number;
  readonly nextRecord: number;
  readonly nextLine: number;
  /**
   * Hash chain over the values of batches 0 … nextBatch - 1, in hex: each link is the SHA-256 of the link before
   * it (nothing, for the first) and the batch's bytes. A chain, because unlike the state of one running hash it
   * can be stored, so that a source read on by Range is proved too.
   */
  readonly chainSha256: string;
  /** CRC-32C of the values of the same batches, added up: what the ledger's have to add up to in the end (LB4). */
  readonly crc32cSum: number;
}

/** Jobs of builds without deletes have no count of them. */
export type StoredCounts = Omit<JobCounts, 'deleted'> & Partial<Pick<JobCounts, 'deleted'>>;

/** What a job row keeps of an error. */
export function jobErrorOf({ code, message, action }: SluiceError): JobError {
  return { code, message, action };
}

/** One run of one dataset from one source in one mode: the row that every part of Sluice agrees on. */
@Entity({ schema: 'sluice', name: 'job' })
export class Job {
  /** UUIDv7, so ids sort by age. */
  @PrimaryColumn('uuid')
  id!: string;

  @Column('text')
  dataset!: string;

  @Column('text')
  mode!: WriteMode;

  @Column('text')
  state!: JobState;

  @Column('text', { name: 'pause_reason', nullable: true })
  pauseReason!: PauseReason | null;

  @Column('jsonb', { name: 'pause_detail', nullable: true })
  pauseDetail!: PauseDetail | null;

  /** Set while a running job cannot complete by itself. */
  @Column('jsonb', { nullable: true })
  problem!: JobProblem | null;

  /** What an active job waits for at the moment, or a final one before everything of it is announced. */
  @Column('jsonb', { nullable: true })
  wait!: JobWait | null;

  @Column('jsonb')
  source!: JobSource;

  /**
   * The full address, credentials and all; empty once the job has ended and cannot be resumed. Read by the ingestor
   * alone (`select: false`).
   */
  @Column('text', { name: 'secret_uri', select: false })
  secretUri!: string;

  @Column('boolean', { name: 'dry_run' })
  dryRun!: boolean;

  @Column('bigint', { name: 'limit_records', nullable: true, transformer: bigintAsNumber })
  limitRecords!: number | null;

  /** A single refused record fails the job before anything is visible. */
  @Column('boolean')
  strict!: boolean;

  @Column('double precision', { name: 'max_refused_share' })
  maxRefusedShare!: number;

  /** `replace` accepts a smaller snapshot down to this share; null = any (`allowShrink`, or a dry run of N records). */
  @Column('double precision', { name: 'max_shrink_share', nullable: true })
  maxShrinkShare!: number | null;

  /** `append`: what becomes of a record whose key is in the table already. */
  @Column('text', { name: 'existing_keys' })
  existingKeys!: ExistingKeys;

  @Column('jsonb', { nullable: true })
  breaker!: Breaker | null;

  /**
   * Batches that the breaker leaves out, as PostgreSQL writes a multirange: those that were loaded when the job was
   * continued.
   */
  @Column('int8multirange', { name: 'judged_batches' })
  judgedBatches!: string;

  @Column('jsonb')
  options!: OptionValues;

  @Column('integer', { name: 'contract_version' })
  contractVersion!: number;

  @Column('jsonb', { nullable: true })
  cutting!: PinnedCutting | null;

  @Column('jsonb', { nullable: true })
  head!: PinnedHead | null;

  @Column('jsonb', { name: 'source_identity', nullable: true })
  sourceIdentity!: SourceIdentity | null;

  @Column('jsonb', { nullable: true })
  checkpoint!: Checkpoint | null;

  /** A resumed job publishes batches from here on again, though they are before its checkpoint; else null. */
  @Column('bigint', { name: 'republish_from', nullable: true, transformer: bigintAsNumber })
  republishFrom!: number | null;

  /** A failed job may be resumed: its staging and ledger are still there. False once they are given up. */
  @Column('boolean')
  resumable!: boolean;

  /** It is finalized only once this job has ended for good; null: in the order of completion alone. */
  @Column('uuid', { name: 'after_job', nullable: true })
  afterJob!: string | null;

  /** The dataset's stream that made the job; null for all others. */
  @Column('text', { nullable: true })
  stream!: string | null;

  /** The action of `sluice.repair_action` that has made the job of dead letters; null for all others. */
  @Column('uuid', { nullable: true })
  repair!: string | null;

  /** The job whose raw batches it replays; null for all others. */
  @Column('uuid', { name: 'origin_job', nullable: true })
  originJob!: string | null;

  /** The replay that made it; null for all others. */
  @Column('uuid', { nullable: true })
  replay!: string | null;

  /** When its last batch was loaded or its source was read to the end, whichever came last. Null: not found out yet. */
  @Column('timestamptz', { name: 'completed_at', nullable: true })
  completedAt!: Date | null;

  /** Jobs that were created later are newer than it, also when it was resumed meanwhile. */
  @Column('timestamptz', { name: 'first_failed_at', nullable: true })
  firstFailedAt!: Date | null;

  /** The first of the batches that a loader dropped while the job was paused; they are published again. */
  @Column('bigint', { name: 'dropped_from', nullable: true, transformer: bigintAsNumber })
  droppedFrom!: number | null;

  /** Of a cancelled job. */
  @Column('jsonb', { nullable: true })
  discarded!: DiscardedWork | null;

  /** The process that works on the job now; null when none has to. */
  @Column('text', { nullable: true })
  owner!: string | null;

  /** Raised with every claim; a process that holds an older one has lost the job. */
  @Column('integer')
  epoch!: number;

  /** Messages of lower epochs are not this job's any more: it has begun again from its first batch since. */
  @Column('integer', { name: 'first_epoch' })
  firstEpoch!: number;

  /** Its messages carry a seal (`message-seal.ts`): pinned when it begins; messages without one are foreign then. */
  @Column('boolean')
  signed!: boolean;

  /** By the database's clock. */
  @Column('timestamptz', { name: 'lease_until', nullable: true })
  leaseUntil!: Date | null;

  /** Who announces the job, and until when: of plain SQL's concern only. */
  @Column('text', { name: 'announcer', nullable: true, select: false })
  announcer?: string | null;

  @Column('timestamptz', { name: 'announcer_until', nullable: true, select: false })
  announcerUntil?: Date | null;

  /** The source's size, when it states one: what progress is measured against. */
  @Column('bigint', { name: 'expected_bytes', nullable: true, transformer: bigintAsNumber })
  expectedBytes!: number | null;

  @Column('bigint', { name: 'total_batches', nullable: true, transformer: bigintAsNumber })
  totalBatches!: number | null;

  @Column('bigint', { name: 'total_records', nullable: true, transformer: bigintAsNumber })
  totalRecords!: number | null;

  @Column('bigint', { name: 'total_bytes', nullable: true, transformer: bigintAsNumber })
  totalBytes!: number | null;

  /** Written by the finalizer, from the ledger. */
  @Column('jsonb', { nullable: true })
  counts!: StoredCounts | null;

  /**
   * Which batches `counts` is about, as PostgreSQL writes a multirange, when the job failed or was cancelled before all
   * were loaded; null: all of them.
   */
  @Column('int8multirange', { name: 'counted_batches', nullable: true })
  countedBatches!: string | null;

  /** Finding code → how often, errors and warnings, from the ledger. */
  @Column('jsonb', { nullable: true })
  findings!: Record<string, number> | null;

  @Column('jsonb', { nullable: true })
  error!: JobError | null;

  /** False while the outcome still has to be published to the status topic. */
  @Column('boolean')
  announced!: boolean;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt!: Date | null;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
