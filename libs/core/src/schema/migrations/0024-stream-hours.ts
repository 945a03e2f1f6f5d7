import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What stays of a stream's jobs when their rows are deleted, and the indexes by which lists stay fast beside a hundred
 * thousand of them (`libs/core/src/job/prune-stream-jobs.ts`).
 */
export class StreamHours1700000000024 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.stream_hour (
        dataset text NOT NULL,
        hour timestamptz NOT NULL,
        jobs bigint NOT NULL,
        counts jsonb NOT NULL,
        findings jsonb NOT NULL,
        ranges jsonb NOT NULL,
        raw jsonb NOT NULL,
        first_job uuid NOT NULL,
        last_job uuid NOT NULL,
        contract_from integer NOT NULL,
        contract_to integer NOT NULL,
        PRIMARY KEY (dataset, hour)
      )`);
    await runner.query(`
      CREATE TABLE sluice.pruned_job (
        id uuid PRIMARY KEY,
        dataset text NOT NULL,
        mode text NOT NULL,
        contract_version integer NOT NULL,
        source text NOT NULL,
        columns text[],
        context jsonb NOT NULL,
        options jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        finished_at timestamptz NOT NULL
      )`);
    await runner.query('CREATE INDEX job_of_no_stream ON sluice.job (id) WHERE stream IS NULL');
    await runner.query(
      'CREATE INDEX job_of_stream_by_id ON sluice.job (stream, id) WHERE stream IS NOT NULL',
    );
    // Few of many, and looked for with every sweep.
    await runner.query(`
      CREATE INDEX job_unsuccessful ON sluice.job (dataset) WHERE state IN ('failed', 'cancelled')`);
    // What the metrics count: rows are wide.
    await runner.query('CREATE INDEX job_states ON sluice.job (dataset, state)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'DROP INDEX sluice.job_states, sluice.job_unsuccessful, sluice.job_of_stream_by_id, sluice.job_of_no_stream',
    );
    await runner.query('DROP TABLE sluice.pruned_job, sluice.stream_hour');
  }
}
