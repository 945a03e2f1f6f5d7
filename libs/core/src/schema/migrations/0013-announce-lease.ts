import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who announces a job's refusals and its end. A session's advisory lock stays behind on a connection of a pooler in
 * transaction mode, where it keeps the job from being announced; a lease in the row runs out.
 */
export class AnnounceLease1700000000013 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job ADD announcer text, ADD announcer_until timestamptz');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job DROP COLUMN announcer, DROP COLUMN announcer_until');
  }
}
