import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { SluiceError } from '#common/errors/sluice-error.js';
import type { Breaker, ExistingKeys, OptionValues, SourceFormat, WriteMode } from '../dataset/dataset.js';
import type { LineEnd } from '../record/line-ends.js';
import type { SourceIdentity } from '../source/source-identity.js';
import type { JobState, PauseReason } from './job-state.js';
import type { JobWait } from './job-wait.js';

/** bigint columns arrive as text; every count and offset here stays below 2^53. */
export const bigintAsNumber = {
  to: (value: number | null | undefined): number | null | undefined => value,
  from: (value: string | null): number | null => (value === null ? null : Number(value)),
};

/** Where the records come from. Credentials stand in `secretUri` only, which no API, log or event shows. */
export interface JobSource {
  /** Name of a registered kind of source (`apps/ingestor/src/sources`). */
  readonly kind: string;
  /** The address without credentials and query values, fit to be shown. */
  readonly display: string;
  /** The caller proved to be on this machine, so a file may lie outside the allowed folders. */
  readonly trustedCaller: boolean;
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

/** What the head of the source said, pinned when the job began to run. */
export interface PinnedHead {
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
  readonly dataStart: number;
  readonly firstLine: number;
  /** Bytes and lines before the first record, counted apart from the prologue; absent in older jobs. */
  readonly bytes?: number;
  readonly lines?: number;
}

/** The highest contiguous acknowledged batch, and where the source goes on after it. */
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
  /** CRC-32C of the values of the same batches, added up: what the ledger's have to add up to in the end (B4). */
  readonly crc32cSum: number;
}

/**
 * The sums of a job (docs/guarantees.md, G2):
 * read = accepted + refusedAtValidate + skipped; accepted = loaded + refusedAtLoad + superseded;
 * loaded = inserted + updated + unchanged.
 */
export interface JobCounts {
  readonly read: number;
  readonly accepted: number;
  readonly refused: number;
  readonly refusedAtValidate: number;
  readonly refusedAtLoad: number;
  readonly skipped: number;
  readonly loaded: number;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly superseded: number;
  readonly warnings: number;
}

/** Why a job failed: a code of the closed list, what happened and what to do. */
export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly action: string;
}

/** What a job row keeps of an error. */
export function jobErrorOf({ code, message, action }: SluiceError): JobError {
  return { code, message, action };
}

/** Why a job is paused, or cannot go on; for `breaker` also what was counted in its window. */
export interface PauseDetail extends JobError {
  readonly records?: number;
  readonly refused?: number;
  /** The most frequent findings of the window, most frequent first. */
  readonly reasons?: readonly { readonly code: string; readonly count: number }[];
}

/** What `cancel` threw away. */
export interface DiscardedWork {
  /** In staging, dropped with it. */
  readonly loadedBatches: number;
  readonly loadedRecords: number;
  /** Published and not loaded: the loader drops them when they come. At least so many. */
  readonly pendingBatches: number;
  readonly pendingRecords: number;
}

/** Why a job stands still: batches that are in no topic any more. */
export interface JobProblem extends JobError {
  readonly firstMissingBatch: number;
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

  @Column('double precision', { name: 'max_refused_share' })
  maxRefusedShare!: number;

  /** `replace` accepts a smaller snapshot down to this share; null = any ("told"). */
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

  /** Of a cancelled job. */
  @Column('jsonb', { nullable: true })
  discarded!: DiscardedWork | null;

  /** Who works on the job now; null when nobody has to. */
  @Column('text', { nullable: true })
  owner!: string | null;

  /** Raised with every claim; whoever holds an older one has lost the job. */
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

  /** The source's size, when it tells: what progress is measured against. */
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
  counts!: JobCounts | null;

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

  /** False while the outcome still has to be told to the status topic. */
  @Column('boolean')
  announced!: boolean;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt!: Date | null;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
