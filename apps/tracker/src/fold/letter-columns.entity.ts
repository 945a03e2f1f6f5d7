import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One list of column names; the letters of a file refer to it. */
@Entity({ schema: 'sluice', name: 'letter_columns' })
export class LetterColumns {
  /** `columnsId(names)` of storable-letter.ts. */
  @PrimaryColumn('uuid')
  id!: string;

  /** In file order; empty for formats that name their fields in each record. */
  @Column('text', { array: true })
  names!: string[];
}
