import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Stage } from '#api/job-words.js';
import { bigintAsNumber } from '#common/postgres/typeorm.js';
import type { MemberCounts } from '#core/record/member-names.js';
import { BatchSums } from './batch-sums.entity.js';

/** The sums of one stage of one job over all its distinct facts (see fold-stages.ts). */
@Entity({ schema: 'sluice', name: 'job_stage' })
export class JobStage extends BatchSums {
  @PrimaryColumn('uuid')
  job!: string;

  @PrimaryColumn('text')
  stage!: Stage;

  @Column('bigint', { transformer: bigintAsNumber })
  batches!: number;

  /** Dead letters of this stage in the index: compared with `refused` to know whether all have come. */
  @Column('bigint', { name: 'dead_letters', transformer: bigintAsNumber })
  deadLetters!: number;

  /** How many of these are not open any more, by state. */
  @Column('bigint', { default: 0, transformer: bigintAsNumber })
  resubmitted!: number;

  @Column('bigint', { default: 0, transformer: bigintAsNumber })
  landed!: number;

  @Column('bigint', { name: 'refused_again', default: 0, transformer: bigintAsNumber })
  refusedAgain!: number;

  @Column('bigint', { default: 0, transformer: bigintAsNumber })
  discarded!: number;

  /** Finding code → how often. */
  @Column('jsonb')
  findings!: Record<string, number>;

  /** Of the stage `validate` only: members that the contract does not read → how many records hold them (FS4). */
  @Column('jsonb', { name: 'unknown_members', default: {} })
  unknownMembers!: MemberCounts;

  /** When the first and the last batch of the stage were announced; null while only dead letters
   * or the ledger know of it. */
  @Column('timestamptz', { name: 'first_at', nullable: true })
  firstAt!: Date | null;

  @Column('timestamptz', { name: 'last_at', nullable: true })
  lastAt!: Date | null;

  /** Of the stage `finalize` only: its latest step, and when it began. */
  @Column('text', { nullable: true })
  step!: string | null;

  @Column('timestamptz', { name: 'step_at', nullable: true })
  stepAt!: Date | null;
}
