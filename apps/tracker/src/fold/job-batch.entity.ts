import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from '#core/job/job.entity.js';
import type { BatchEvent } from '#core/message/status-event.js';

/** One fact: a stage is done with a batch. Its key is the status event's natural id, so a repeat is a no-op (G7). */
@Entity({ schema: 'sluice', name: 'job_batch' })
export class JobBatch {
  @PrimaryColumn('uuid')
  job!: string;

  @PrimaryColumn('bigint', { transformer: bigintAsNumber })
  batch!: number;

  @PrimaryColumn('text')
  stage!: BatchEvent['stage'];

  @Column('bigint', { transformer: bigintAsNumber })
  records!: number;

  @Column('bigint', { transformer: bigintAsNumber })
  bytes!: number;

  @Column('bigint', { transformer: bigintAsNumber })
  accepted!: number;

  @Column('bigint', { transformer: bigintAsNumber })
  refused!: number;

  @Column('bigint', { transformer: bigintAsNumber })
  skipped!: number;

  @Column('bigint', { transformer: bigintAsNumber })
  warnings!: number;

  /** By the clock of whoever announced it; of several announcements the one that arrived first. */
  @Column('timestamptz')
  at!: Date;
}
