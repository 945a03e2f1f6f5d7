import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What pausing, resuming and discarding need in the job row, and the messages that no service could read. */
export class GoingOn1700000000004 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sluice.job
        ADD existing_keys text NOT NULL DEFAULT 'supersede' CHECK (existing_keys IN ('supersede', 'fail')),
        ADD breaker jsonb,
        ADD judged_from_batch bigint NOT NULL DEFAULT 0,
        ADD pause_detail jsonb,
        ADD problem jsonb,
        ADD republish_from bigint,
        ADD resumable boolean NOT NULL DEFAULT true,
        ADD discarded jsonb`);
    // Staging of what had ended before was dropped at its end.
    await runner.query(
      `UPDATE sluice.job SET resumable = false WHERE state IN ('succeeded', 'failed', 'cancelled')`,
    );
    await runner.query(`
      CREATE TABLE sluice.parked_message (
        topic text NOT NULL,
        partition integer NOT NULL,
        "offset" bigint NOT NULL,
        reason text NOT NULL,
        parked_at timestamptz NOT NULL,
        PRIMARY KEY (topic, partition, "offset")
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sluice.parked_message');
    await runner.query(`
      ALTER TABLE sluice.job DROP COLUMN existing_keys, DROP COLUMN breaker, DROP COLUMN judged_from_batch,
        DROP COLUMN pause_detail, DROP COLUMN problem, DROP COLUMN republish_from, DROP COLUMN resumable,
        DROP COLUMN discarded`);
  }
}
