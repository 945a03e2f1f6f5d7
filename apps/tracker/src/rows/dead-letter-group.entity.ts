import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from '#common/postgres/typeorm.js';

const count = { default: 0, transformer: bigintAsNumber };

/** Dead letters with one reason and one shape of value, and how many are in each state (GC1). */
@Entity({ schema: 'sluice', name: 'dead_letter_group' })
@Index('dead_letter_group_reason', ['dataset', 'code'])
export class DeadLetterGroupRow {
  /** `DeadLetterGroup.id`. */
  @PrimaryColumn('uuid')
  id!: string;

  @Column('text')
  dataset!: string;

  @Column('text')
  code!: string;

  @Column('text', { nullable: true })
  field!: string | null;

  @Column('text')
  shape!: string;

  @Column('bigint', count)
  open!: number;

  @Column('bigint', count)
  resubmitted!: number;

  @Column('bigint', count)
  landed!: number;

  @Column('bigint', { ...count, name: 'refused_again' })
  refusedAgain!: number;

  @Column('bigint', count)
  discarded!: number;
}
