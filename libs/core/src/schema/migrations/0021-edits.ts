import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Corrections of dead letters: the corrected record of each that has one, the latest only. */
export class Edits1700000000021 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // No foreign key: a rebuild deletes open dead letters and folds them again, and their corrections stay.
    await runner.query(`
      CREATE TABLE sluice.dead_letter_edit (
        job uuid NOT NULL,
        record bigint NOT NULL,
        bytes bytea NOT NULL,
        columns text[],
        action uuid NOT NULL,
        by_whom text,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (job, record)
      )`);
    // What was done, beside which dead letters were meant.
    await runner.query('ALTER TABLE sluice.repair_action ADD detail jsonb');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.repair_action DROP COLUMN detail');
    await runner.query('DROP TABLE sluice.dead_letter_edit');
  }
}
