import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whether a single refused record fails a job. */
export class StrictJobs1700000000016 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job ADD strict boolean NOT NULL DEFAULT false');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job DROP COLUMN strict');
  }
}
