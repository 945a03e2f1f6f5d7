import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One list of column names; the dead letters of a file refer to it. */
@Entity({ schema: 'sluice', name: 'letter_columns' })
export class DeadLetterColumns {
  /** `columnsId(names)` of storable-dead-letter.ts. */
  @PrimaryColumn('uuid')
  id!: string;

  /** In file order; empty for formats that name their fields in each record. */
  @Column('text', { array: true })
  names!: string[];
}
