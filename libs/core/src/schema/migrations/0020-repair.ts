import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Dead letters get a state, groups with counts, and an audit of what was done about them. Nothing here touches the dead
 * letters that are there already: they are open, and the tracker gives them their groups in small steps.
 */
export class Repair1700000000020 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sluice.dead_letter
        ADD state text NOT NULL DEFAULT 'open'
          CHECK (state IN ('open', 'resubmitted', 'landed', 'refused-again', 'discarded')),
        ADD reason text,
        ADD group_id uuid,
        ADD predecessor_job uuid,
        ADD predecessor_record bigint,
        ADD successor_job uuid,
        ADD successor_record bigint`);
    await runner.query(
      'CREATE INDEX dead_letter_by_group ON sluice.dead_letter (group_id, job, record) WHERE group_id IS NOT NULL',
    );
    await runner.query(
      'CREATE INDEX dead_letter_ungrouped ON sluice.dead_letter (job, record) WHERE group_id IS NULL',
    );
    await runner.query(
      `CREATE INDEX dead_letter_decided ON sluice.dead_letter (job, record) WHERE state <> 'open'`,
    );
    // A code is looked up by its groups; that of a second error is in no group.
    await runner.query(
      'CREATE INDEX dead_letter_more_codes ON sluice.dead_letter (job, record) WHERE cardinality(codes) > 1',
    );
    // Without it the planner takes a third of the rows to have several codes, and reads all of them for a rare one.
    await runner.query(
      'CREATE STATISTICS sluice.dead_letter_codes ON cardinality(codes) FROM sluice.dead_letter',
    );
    await runner.query(`
      CREATE TABLE sluice.dead_letter_group (
        id uuid PRIMARY KEY,
        dataset text NOT NULL,
        code text NOT NULL,
        field text,
        shape text NOT NULL,
        open bigint NOT NULL DEFAULT 0 CHECK (open >= 0),
        resubmitted bigint NOT NULL DEFAULT 0 CHECK (resubmitted >= 0),
        landed bigint NOT NULL DEFAULT 0 CHECK (landed >= 0),
        refused_again bigint NOT NULL DEFAULT 0 CHECK (refused_again >= 0),
        discarded bigint NOT NULL DEFAULT 0 CHECK (discarded >= 0)
      )`);
    await runner.query('CREATE INDEX dead_letter_group_reason ON sluice.dead_letter_group (dataset, code)');
    await runner.query(`
      ALTER TABLE sluice.job_stage
        ADD resubmitted bigint NOT NULL DEFAULT 0,
        ADD landed bigint NOT NULL DEFAULT 0,
        ADD refused_again bigint NOT NULL DEFAULT 0,
        ADD discarded bigint NOT NULL DEFAULT 0`);
    await runner.query(`
      CREATE TABLE sluice.repair_action (
        id uuid PRIMARY KEY,
        action text NOT NULL,
        selection jsonb NOT NULL,
        dead_letters bigint NOT NULL DEFAULT 0,
        reason text,
        by_whom text,
        at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sluice.repair_action, sluice.dead_letter_group');
    await runner.query('DROP STATISTICS sluice.dead_letter_codes');
    await runner.query('DROP INDEX sluice.dead_letter_more_codes');
    await runner.query(
      'ALTER TABLE sluice.job_stage DROP COLUMN resubmitted, DROP COLUMN landed, DROP COLUMN refused_again, DROP COLUMN discarded',
    );
    await runner.query(`
      ALTER TABLE sluice.dead_letter DROP COLUMN state, DROP COLUMN reason, DROP COLUMN group_id,
        DROP COLUMN predecessor_job, DROP COLUMN predecessor_record, DROP COLUMN successor_job,
        DROP COLUMN successor_record`);
  }
}
