import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Replays: earlier jobs that are loaded again from their raw batches, each by a new job. */
export class Replays1700000000023 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.job ADD origin_job uuid, ADD replay uuid');
    await runner.query(
      'CREATE INDEX job_of_origin ON sluice.job (origin_job, created_at) WHERE origin_job IS NOT NULL',
    );
    // Few of many: what a replay waits for is looked for several times a second.
    await runner.query(`
      CREATE INDEX job_of_replay_open ON sluice.job (replay)
        WHERE replay IS NOT NULL AND state IN ('queued', 'running', 'paused', 'finalizing', 'failed')`);
    await runner.query('CREATE INDEX job_of_replay ON sluice.job (replay) WHERE replay IS NOT NULL');
    await runner.query(`
      CREATE TABLE sluice.replay (
        id uuid PRIMARY KEY,
        dataset text NOT NULL,
        selection jsonb NOT NULL,
        which text NOT NULL CHECK (which IN ('all', 'refused', 'missing')),
        mode text,
        at_once integer NOT NULL CHECK (at_once > 0),
        state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'succeeded', 'failed', 'cancelled')),
        covered jsonb NOT NULL,
        deleted jsonb NOT NULL,
        left_out jsonb NOT NULL,
        wait jsonb,
        outcome jsonb,
        by_whom text,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
      )`);
    await runner.query('CREATE INDEX replay_open ON sluice.replay (id) WHERE finished_at IS NULL');
    // The settings that a job is created with are pinned here: the origin's row may be gone by then.
    await runner.query(`
      CREATE TABLE sluice.replay_job (
        replay uuid NOT NULL REFERENCES sluice.replay ON DELETE CASCADE,
        position integer NOT NULL,
        origin uuid NOT NULL,
        address text NOT NULL,
        settings jsonb NOT NULL,
        chosen boolean NOT NULL,
        batches bigint NOT NULL,
        records bigint NOT NULL,
        job uuid UNIQUE,
        PRIMARY KEY (replay, position)
      )`);
    await runner.query(`
      CREATE TABLE sluice.replay_record (
        replay uuid NOT NULL,
        position integer NOT NULL,
        batch bigint NOT NULL,
        records bigint[] NOT NULL,
        PRIMARY KEY (replay, position, batch),
        FOREIGN KEY (replay, position) REFERENCES sluice.replay_job ON DELETE CASCADE
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sluice.replay_record, sluice.replay_job, sluice.replay');
    await runner.query('DROP INDEX sluice.job_of_replay, sluice.job_of_replay_open, sluice.job_of_origin');
    await runner.query('ALTER TABLE sluice.job DROP COLUMN origin_job, DROP COLUMN replay');
  }
}
