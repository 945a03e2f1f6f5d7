import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which rows of a batch left staging again when its records were refused in settling: staging + these = what was loaded. */
export class RemovedRows1700000000007 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE sluice.ledger ADD removed_rows jsonb NOT NULL DEFAULT '{}'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.ledger DROP COLUMN removed_rows');
  }
}
