import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { StreamPauseReason, StreamState } from '#api/stream-words.js';
import type { StreamPauseDetail, StreamWait } from '#api/streams.js';
import { bigintAsNumber } from '#common/postgres/typeorm.js';
import type { StreamPosition } from './position.js';

/** A standing instruction to turn a dataset's inbox into jobs, and how far it has come. */
@Entity({ schema: 'sluice', name: 'stream' })
export class Stream {
  @PrimaryColumn('text')
  dataset!: string;

  @Column('text')
  state!: StreamState;

  @Column('timestamptz', { name: 'state_since' })
  stateSince!: Date;

  /** Of a paused one. */
  @Column('text', { nullable: true })
  reason!: StreamPauseReason | null;

  @Column('jsonb', { nullable: true })
  detail!: StreamPauseDetail | null;

  @Column('jsonb', { nullable: true })
  wait!: StreamWait | null;

  @Column('integer', { name: 'max_records' })
  maxRecords!: number;

  @Column('integer', { name: 'max_bytes' })
  maxBytes!: number;

  @Column('integer', { name: 'max_ms' })
  maxMs!: number;

  /** Null until an ingestor has looked at the inbox for the first time. */
  @Column('jsonb', { nullable: true })
  position!: StreamPosition | null;

  /** Of a draining one: where it stops; null until an ingestor has looked. */
  @Column('jsonb', { name: 'drain_to', nullable: true })
  drainTo!: StreamPosition | null;

  /** An operator has accepted that messages are lost: the next ingestor continues behind them. */
  @Column('boolean', { name: 'skip_lost' })
  skipLost!: boolean;

  /** By its producer's or broker's clock: the oldest message that is not visible yet, as the owner saw it last. */
  @Column('timestamptz', { name: 'oldest_waiting', nullable: true })
  oldestWaiting!: Date | null;

  /** The newest version of the dataset that has run it. */
  @Column('integer', { name: 'contract_version' })
  contractVersion!: number;

  @Column('text', { nullable: true })
  owner!: string | null;

  /** Raised with every claim and every pause; a process that holds an older one has lost the stream. */
  @Column('integer')
  epoch!: number;

  /** By the database's clock. */
  @Column('timestamptz', { name: 'lease_until', nullable: true })
  leaseUntil!: Date | null;

  /** The predecessor of its next job. */
  @Column('uuid', { name: 'last_job', nullable: true })
  lastJob!: string | null;

  @Column('bigint', { transformer: bigintAsNumber })
  jobs!: number;

  @Column('bigint', { transformer: bigintAsNumber })
  records!: number;

  /** Jobs that were created before are not judged: an operator has seen them. */
  @Column('timestamptz', { name: 'judged_from' })
  judgedFrom!: Date;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}
