import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Jobs of one dataset side by side (`libs/core/src/job/lanes.ts`): what was one active job a dataset is one job in state
 * `finalizing`, and who may be active beside whom is checked when a job is created or resumed.
 */
export class Lanes1700000000017 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sluice.job
        ADD after_job uuid CHECK (after_job <> id),
        ADD stream text,
        ADD completed_at timestamptz,
        ADD first_failed_at timestamptz,
        ADD dropped_from bigint`);
    // Up to now the age of a job alone decided whether it is newer than a failed one.
    await runner.query(`UPDATE sluice.job SET first_failed_at = created_at WHERE state = 'failed'`);
    await runner.query('DROP INDEX sluice.job_one_active_per_dataset');
    await runner.query(`
      CREATE INDEX job_active ON sluice.job (dataset)
        WHERE state IN ('queued', 'running', 'paused', 'finalizing')`);
    await runner.query(`
      CREATE UNIQUE INDEX job_one_finalizing_per_dataset ON sluice.job (dataset) WHERE state = 'finalizing'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX sluice.job_one_finalizing_per_dataset, sluice.job_active');
    await runner.query(`
      CREATE UNIQUE INDEX job_one_active_per_dataset ON sluice.job (dataset)
        WHERE state IN ('queued', 'running', 'paused', 'finalizing')`);
    await runner.query(`
      ALTER TABLE sluice.job DROP COLUMN after_job, DROP COLUMN stream, DROP COLUMN completed_at,
        DROP COLUMN first_failed_at, DROP COLUMN dropped_from`);
  }
}
