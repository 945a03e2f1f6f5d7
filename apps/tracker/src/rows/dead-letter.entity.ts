import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { DeadLetterState } from '#api/dead-letters.js';
import { bigintAsNumber } from '#common/postgres/typeorm.js';
import type { Finding } from '#core/finding/finding.js';
import type { MessageFacts } from '#core/message/message-facts.js';

/** One refused record: where it stands, every reason, its exact bytes. Its id is (job, record). */
@Entity({ schema: 'sluice', name: 'dead_letter' })
@Index('dead_letter_dataset', ['dataset', 'job', 'record'])
@Index('dead_letter_by_group', ['groupId', 'job', 'record'], { where: 'group_id IS NOT NULL' })
@Index('dead_letter_ungrouped', ['job', 'record'], { where: 'group_id IS NULL' })
@Index('dead_letter_more_codes', ['job', 'record'], { where: 'cardinality(codes) > 1' })
@Index('dead_letter_by_state', ['state', 'job', 'record'])
@Index('dead_letter_of_load', ['job', 'record'], { where: `stage = 'load'` })
@Index('dead_letter_resubmitted', ['successorJob', 'job', 'record'], { where: `state = 'resubmitted'` })
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

  /** Which {@link DeadLetterColumns} name its columns. */
  @Column('uuid', { name: 'columns_id' })
  columnsId!: string;

  /** Of a record that came as a message of its own. */
  @Column('jsonb', { nullable: true })
  message!: MessageFacts | null;

  @Column('bytea')
  bytes!: Buffer;

  @Column('text', { default: 'open' })
  state!: DeadLetterState;

  /** Why it was discarded. */
  @Column('text', { nullable: true })
  reason!: string | null;

  /** Which {@link DeadLetterGroupRow} counts it; null until the tracker has seen a dead letter of an older build. */
  @Column('uuid', { name: 'group_id', nullable: true })
  groupId!: string | null;

  /** The dead letter that this one is a resubmission of. */
  @Column('uuid', { name: 'predecessor_job', nullable: true })
  predecessorJob!: string | null;

  @Column('bigint', { name: 'predecessor_record', nullable: true, transformer: bigintAsNumber })
  predecessorRecord!: number | null;

  /** Its record in a repair job; a dead letter of this id is there when it was refused again. */
  @Column('uuid', { name: 'successor_job', nullable: true })
  successorJob!: string | null;

  @Column('bigint', { name: 'successor_record', nullable: true, transformer: bigintAsNumber })
  successorRecord!: number | null;
}
