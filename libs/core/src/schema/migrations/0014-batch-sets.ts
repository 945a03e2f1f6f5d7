import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Which batches, instead of up to which: partitions come in at different speeds, so what is loaded of a job has gaps
 * until its end.
 */
export class BatchSets1700000000014 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sluice.job
        ADD judged_batches int8multirange NOT NULL DEFAULT '{}',
        ADD counted_batches int8multirange`);
    await runner.query(`
      UPDATE sluice.job SET judged_batches = int8multirange(int8range(0, judged_from_batch))
      WHERE judged_from_batch > 0`);
    await runner.query('ALTER TABLE sluice.job DROP COLUMN judged_from_batch');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job ADD judged_from_batch bigint NOT NULL DEFAULT 0');
    await runner.query(
      'UPDATE sluice.job SET judged_from_batch = upper(judged_batches) WHERE NOT isempty(judged_batches)',
    );
    await runner.query('ALTER TABLE sluice.job DROP COLUMN judged_batches, DROP COLUMN counted_batches');
  }
}
