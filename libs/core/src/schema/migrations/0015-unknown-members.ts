import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Names of members that the contract does not read, and how many records hold them: of each job the most frequent ones. */
export class UnknownMembers1700000000015 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE sluice.job_stage ADD unknown_members jsonb NOT NULL DEFAULT '{}'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job_stage DROP COLUMN unknown_members');
  }
}
