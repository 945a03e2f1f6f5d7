import { Column } from 'typeorm';
import { bigintAsNumber } from '#common/postgres/typeorm.js';

/** What a stage announces about one batch; its sums over all batches are made of these. */
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
