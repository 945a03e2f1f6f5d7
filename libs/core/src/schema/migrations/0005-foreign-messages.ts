import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What distinguishes a job's messages from those of another contract version, of an earlier attempt, or of a stranger.
 */
export class ForeignMessages1700000000005 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sluice.job
        DROP CONSTRAINT IF EXISTS job_pause_reason_check,
        ADD CONSTRAINT job_pause_reason_check
          CHECK (pause_reason IN ('breaker', 'operator', 'schema', 'contract', 'fault')),
        ADD first_epoch integer NOT NULL DEFAULT 0,
        ADD signed boolean NOT NULL DEFAULT false`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job DROP COLUMN first_epoch, DROP COLUMN signed');
  }
}
