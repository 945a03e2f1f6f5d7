import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a job waits for, the rows that each batch has really brought, and two more reasons to pause. */
export class DeclaredWaits1700000000006 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sluice.job
        ADD wait jsonb,
        DROP CONSTRAINT IF EXISTS job_pause_reason_check,
        ADD CONSTRAINT job_pause_reason_check
          CHECK (pause_reason IN ('breaker', 'operator', 'schema', 'contract', 'fault'))`);
    // Null: loaded before anyone counted.
    await runner.query('ALTER TABLE sluice.ledger ADD table_rows jsonb');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.ledger DROP COLUMN table_rows');
    await runner.query(
      `UPDATE sluice.job SET pause_reason = 'schema' WHERE pause_reason IN ('contract', 'fault')`,
    );
    await runner.query(`
      ALTER TABLE sluice.job
        DROP COLUMN wait,
        DROP CONSTRAINT job_pause_reason_check,
        ADD CONSTRAINT job_pause_reason_check CHECK (pause_reason IN ('breaker', 'operator', 'schema'))`);
  }
}
