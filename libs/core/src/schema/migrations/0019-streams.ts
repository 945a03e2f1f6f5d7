import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Streams: standing instructions to turn a dataset's inbox into jobs, and how far each has come. */
export class Streams1700000000019 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.stream (
        dataset text PRIMARY KEY,
        state text NOT NULL CHECK (state IN ('running', 'draining', 'paused', 'stopped')),
        state_since timestamptz NOT NULL DEFAULT now(),
        reason text CHECK (reason IN ('operator', 'breaker', 'job', 'inbox', 'fault')),
        detail jsonb,
        wait jsonb,
        max_records integer NOT NULL CHECK (max_records > 0),
        max_bytes integer NOT NULL CHECK (max_bytes > 0),
        max_ms integer NOT NULL CHECK (max_ms > 0),
        position jsonb,
        drain_to jsonb,
        skip_lost boolean NOT NULL DEFAULT false,
        oldest_waiting timestamptz,
        contract_version integer NOT NULL,
        owner text,
        epoch integer NOT NULL DEFAULT 0,
        lease_until timestamptz,
        last_job uuid,
        jobs bigint NOT NULL DEFAULT 0,
        records bigint NOT NULL DEFAULT 0,
        judged_from timestamptz NOT NULL DEFAULT now(),
        created_at timestamptz NOT NULL DEFAULT now(),
        CHECK ((state = 'paused') = (reason IS NOT NULL)),
        CHECK (state IN ('running', 'draining') OR owner IS NULL)
      )`);
    await runner.query(
      'CREATE INDEX job_of_stream ON sluice.job (stream, created_at) WHERE stream IS NOT NULL',
    );
    // Few of many: what keeps a stream from continuing is looked for every second.
    await runner.query(`
      CREATE INDEX job_of_stream_standing ON sluice.job (stream)
        WHERE stream IS NOT NULL AND state IN ('paused', 'failed')`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX sluice.job_of_stream, sluice.job_of_stream_standing');
    await runner.query('DROP TABLE sluice.stream');
  }
}
