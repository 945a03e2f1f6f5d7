import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from '#common/postgres/typeorm.js';
import type { BatchEvent } from '#core/message/status-event.js';
import { BatchSums } from './batch-sums.entity.js';

/** One fact: a stage has handled a batch. Its key is the status event's natural id, so a repeat is a no-op (G7). */
@Entity({ schema: 'sluice', name: 'job_batch' })
export class JobBatch extends BatchSums {
  @PrimaryColumn('uuid')
  job!: string;

  @PrimaryColumn('bigint', { transformer: bigintAsNumber })
  batch!: number;

  @PrimaryColumn('text')
  stage!: BatchEvent['stage'];

  /** By the clock of the process that announced it; the earliest of several announcements. */
  @Column('timestamptz')
  at!: Date;
}
