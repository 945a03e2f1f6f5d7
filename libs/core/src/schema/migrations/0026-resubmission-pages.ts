import type { MigrationInterface, QueryRunner } from 'typeorm';

/** So that a resubmission and a list by state find their next page, whatever number of jobs and dead letters there are. */
export class ResubmissionPages1700000000026 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Jobs whose dead letters are left alone (`letters-to-send.ts`): few, however many have ended.
    await runner.query(`
      CREATE INDEX job_undecided ON sluice.job (id)
        WHERE state NOT IN ('succeeded', 'failed', 'cancelled') OR state = 'failed' AND resumable
          OR repair IS NOT NULL AND state <> 'succeeded'`);
    // Of one state, also where half a million of another stand before it; it costs as much as the one that it replaces when a state changes.
    await runner.query('CREATE INDEX dead_letter_by_state ON sluice.dead_letter (state, job, record)');
    await runner.query('DROP INDEX sluice.dead_letter_decided');
    // The database refuses few records beside those that break a rule: a list of the former would look through all the latter.
    await runner.query(
      `CREATE INDEX dead_letter_of_load ON sluice.dead_letter (job, record) WHERE stage = 'load'`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE INDEX dead_letter_decided ON sluice.dead_letter (job, record) WHERE state <> 'open'`,
    );
    await runner.query(
      'DROP INDEX sluice.dead_letter_of_load, sluice.dead_letter_by_state, sluice.job_undecided',
    );
  }
}
