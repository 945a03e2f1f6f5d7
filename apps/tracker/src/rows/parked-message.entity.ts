import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { ParkedState } from '#api/parked-messages.js';

/** A message that a consumer could not decode, by its place. */
@Entity({ schema: 'sluice', name: 'parked_message' })
export class ParkedMessageRow {
  @PrimaryColumn('text')
  topic!: string;

  @PrimaryColumn('integer')
  partition!: number;

  /** As text: no arithmetic is done with an offset. */
  @PrimaryColumn('bigint')
  offset!: string;

  @Column('text')
  reason!: string;

  /** By the clock of the process that parked it; the latest, when it came again. */
  @Column('timestamptz', { name: 'parked_at' })
  parkedAt!: Date;

  @Column('text', { default: 'open' })
  state!: ParkedState;

  @Column('timestamptz', { name: 'decided_at', nullable: true })
  decidedAt!: Date | null;

  @Column('text', { nullable: true })
  note!: string | null;
}
