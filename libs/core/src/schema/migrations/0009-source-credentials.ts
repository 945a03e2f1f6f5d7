import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Nothing reads the full address of a job's source once the job cannot be resumed: what older versions left goes. */
export class SourceCredentials1700000000009 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      UPDATE sluice.job SET secret_uri = ''
      WHERE secret_uri <> ''
        AND (state IN ('succeeded', 'cancelled') OR state = 'failed' AND NOT resumable)`);
  }

  /** What is erased stays erased. */
  async down(): Promise<void> {
    // Nothing.
  }
}
