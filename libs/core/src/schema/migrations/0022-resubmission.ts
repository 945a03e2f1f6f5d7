import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Repair jobs: which action has made a job, and the dead letters that it is to decide about. */
export class Resubmission1700000000022 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job ADD repair uuid');
    await runner.query('CREATE INDEX job_of_repair ON sluice.job (id) WHERE repair IS NOT NULL');
    // By job, so that the tracker finds each job that has something to decide by one step through the index.
    await runner.query(
      `CREATE INDEX dead_letter_resubmitted ON sluice.dead_letter (successor_job, job, record) WHERE state = 'resubmitted'`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX sluice.dead_letter_resubmitted, sluice.job_of_repair');
    await runner.query('ALTER TABLE sluice.job DROP COLUMN repair');
  }
}
