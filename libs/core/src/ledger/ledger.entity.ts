import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from '#common/postgres/typeorm.js';
import type { Finding } from '../finding/finding.js';

/** A refusal at the load stage: kept in the batch's ledger row until it is known to be announced (outbox). */
export interface LoadRefusal {
  /** Number of the record in the job. */
  readonly record: number;
  readonly findings: readonly Finding[];
  /** PostgreSQL's code, when the database itself refused; null for `DUPLICATE`. */
  readonly sqlstate: string | null;
}

/**
 * One row a batch, written in the transaction that COPYs the batch: the truth about what was loaded.
 * Its primary key makes a repeated delivery a no-op (G3).
 */
@Entity({ schema: 'sluice', name: 'ledger' })
export class LedgerRow {
  @PrimaryColumn('uuid')
  job!: string;

  @PrimaryColumn('bigint', { transformer: bigintAsNumber })
  batch!: number;

  @Column('bigint', { name: 'first_record', transformer: bigintAsNumber })
  firstRecord!: number;

  @Column('bigint', { name: 'first_line', transformer: bigintAsNumber })
  firstLine!: number;

  @Column('integer')
  records!: number;

  @Column('bigint', { name: 'byte_start', transformer: bigintAsNumber })
  byteStart!: number;

  @Column('bigint', { name: 'byte_end', transformer: bigintAsNumber })
  byteEnd!: number;

  /** CRC-32C of the raw batch's value. */
  @Column('bigint', { transformer: bigintAsNumber })
  crc32c!: number;

  @Column('integer')
  accepted!: number;

  /** Refused at validate. */
  @Column('integer')
  refused!: number;

  @Column('integer')
  skipped!: number;

  @Column('integer')
  warnings!: number;

  /** Finding code → how often, as the validator counted them. */
  @Column('jsonb')
  findings!: Record<string, number>;

  /** Where the raw message stands, so that a refused record's bytes can be fetched. */
  @Column('text', { name: 'raw_topic' })
  rawTopic!: string;

  @Column('integer', { name: 'raw_partition' })
  rawPartition!: number;

  @Column('bigint', { name: 'raw_offset', transformer: bigintAsNumber })
  rawOffset!: number;

  /** Refused at load or when settling, in record order; dead letters are produced from here, never recomputed. */
  @Column('jsonb', { name: 'load_refusals' })
  loadRefusals!: LoadRefusal[];

  /** False while dead letters of `load_refusals` still have to be produced. */
  @Column('boolean', { name: 'refusals_announced' })
  refusalsAnnounced!: boolean;

  /**
   * Table → rows of this batch that COPY took; refused records brought none. What is settled later is not taken off.
   * Null for batches loaded before this was counted.
   */
  @Column('jsonb', { name: 'table_rows', nullable: true })
  tableRows!: Record<string, number> | null;

  /** Table → rows of this batch that were taken out of staging when records of it were refused in settling. */
  @Column('jsonb', { name: 'removed_rows' })
  removedRows!: Record<string, number>;

  @Column('timestamptz', { name: 'loaded_at' })
  loadedAt!: Date;
}
