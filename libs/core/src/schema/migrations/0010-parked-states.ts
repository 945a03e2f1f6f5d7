import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What was decided about a parked message: nothing yet, published again, or skipped for good. */
export class ParkedStates1700000000010 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sluice.parked_message
        ADD state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'retried', 'skipped')),
        ADD decided_at timestamptz,
        ADD note text`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.parked_message DROP state, DROP decided_at, DROP note');
  }
}
