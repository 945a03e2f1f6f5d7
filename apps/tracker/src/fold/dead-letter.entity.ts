import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from '#core/job/job.entity.js';
import type { Finding } from '#core/record/finding.js';

/** One refused record: where it stands, every reason, its exact bytes. Its id is (job, record). */
@Entity({ schema: 'sluice', name: 'dead_letter' })
@Index('dead_letter_dataset', ['dataset', 'job', 'record'])
export class DeadLetterRow {
  @PrimaryColumn('uuid')
  job!: string;

  @PrimaryColumn('bigint', { transformer: bigintAsNumber })
  record!: number;

  @Column('text')
  dataset!: string;

  @Column('bigint', { transformer: bigintAsNumber })
  batch!: number;

  /** Line in the source file, from 1. */
  @Column('bigint', { transformer: bigintAsNumber })
  line!: number;

  @Column('bigint', { name: 'byte_start', transformer: bigintAsNumber })
  byteStart!: number;

  @Column('bigint', { name: 'byte_end', transformer: bigintAsNumber })
  byteEnd!: number;

  @Column('text')
  stage!: 'validate' | 'load';

  /** Codes of the errors that refused the record, each once, in the findings' order. */
  @Column('text', { array: true })
  codes!: string[];

  /** Errors and warnings. */
  @Column('jsonb')
  findings!: Finding[];

  @Column('text', { nullable: true })
  sqlstate!: string | null;

  @Column('bigint', { transformer: bigintAsNumber })
  attempt!: number;

  /** Which {@link LetterColumns} name its columns. */
  @Column('uuid', { name: 'columns_id' })
  columnsId!: string;

  @Column('bytea')
  bytes!: Buffer;
}
