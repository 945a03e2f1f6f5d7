import { Column } from 'typeorm';
import { bigintAsNumber } from '#core/job/job.entity.js';

/** What a stage has to say about one batch, and so what its sums over all batches are made of. */
export abstract class BatchSums {
  @Column('bigint', { transformer: bigintAsNumber })
  records!: number;

  /** Bytes of the source. */
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
}
