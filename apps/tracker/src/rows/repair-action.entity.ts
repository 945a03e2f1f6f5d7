import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { DeadLetterSelection, RepairActionKind } from '#api/dead-letters.js';
import { bigintAsNumber } from '#common/postgres/typeorm.js';

/** What was done about dead letters; it is in no topic, and a rebuild leaves it alone. */
@Entity({ schema: 'sluice', name: 'repair_action' })
export class RepairActionRow {
  /** A UUID v7: their order is their age's. */
  @PrimaryColumn('uuid')
  id!: string;

  @Column('text')
  action!: RepairActionKind;

  @Column('jsonb')
  selection!: DeadLetterSelection;

  /** What was changed, of a `fix`. */
  @Column('jsonb', { nullable: true })
  detail!: Readonly<Record<string, unknown>> | null;

  /** How many it has changed so far; with every step. */
  @Column('bigint', { name: 'dead_letters', default: 0, transformer: bigintAsNumber })
  deadLetters!: number;

  @Column('text', { nullable: true })
  reason!: string | null;

  @Column('text', { name: 'by_whom', nullable: true })
  by!: string | null;

  @Column('timestamptz', { default: () => 'now()' })
  at!: Date;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
