import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The job row and the ledger: what every part of Sluice agrees on (docs/architecture.md, Tables). */
export class ControlTables1700000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.job (
        id uuid PRIMARY KEY,
        dataset text NOT NULL,
        mode text NOT NULL CHECK (mode IN ('replace', 'append', 'upsert')),
        state text NOT NULL CHECK (state IN
          ('queued', 'running', 'paused', 'finalizing', 'succeeded', 'failed', 'cancelled')),
        pause_reason text CHECK (pause_reason IN ('breaker', 'operator', 'schema')),
        source jsonb NOT NULL,
        secret_uri text NOT NULL,
        dry_run boolean NOT NULL,
        limit_records bigint CHECK (limit_records > 0),
        max_refused_share double precision NOT NULL CHECK (max_refused_share BETWEEN 0 AND 1),
        max_shrink_share double precision CHECK (max_shrink_share BETWEEN 0 AND 1),
        options jsonb NOT NULL,
        contract_version integer NOT NULL,
        cutting jsonb,
        head jsonb,
        source_identity jsonb,
        checkpoint jsonb,
        owner text,
        epoch integer NOT NULL DEFAULT 0,
        lease_until timestamptz,
        expected_bytes bigint,
        total_batches bigint,
        total_records bigint,
        total_bytes bigint,
        counts jsonb,
        findings jsonb,
        error jsonb,
        announced boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        started_at timestamptz,
        finished_at timestamptz,
        CHECK ((state = 'paused') = (pause_reason IS NOT NULL)),
        CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
      )`);
    await runner.query(`
      CREATE UNIQUE INDEX job_one_active_per_dataset ON sluice.job (dataset)
        WHERE state IN ('queued', 'running', 'paused', 'finalizing')`);
    await runner.query(`CREATE INDEX job_unannounced ON sluice.job (id) WHERE NOT announced`);
    await runner.query(`
      CREATE TABLE sluice.ledger (
        job uuid NOT NULL REFERENCES sluice.job (id) ON DELETE CASCADE,
        batch bigint NOT NULL,
        first_record bigint NOT NULL,
        first_line bigint NOT NULL,
        records integer NOT NULL,
        byte_start bigint NOT NULL,
        byte_end bigint NOT NULL,
        crc32c bigint NOT NULL,
        accepted integer NOT NULL,
        refused integer NOT NULL,
        skipped integer NOT NULL,
        warnings integer NOT NULL,
        findings jsonb NOT NULL,
        raw_topic text NOT NULL,
        raw_partition integer NOT NULL,
        raw_offset bigint NOT NULL,
        load_refusals jsonb NOT NULL DEFAULT '[]',
        refusals_announced boolean NOT NULL DEFAULT true,
        loaded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (job, batch)
      )`);
    await runner.query(
      `CREATE INDEX ledger_unannounced ON sluice.ledger (job, batch) WHERE NOT refusals_announced`,
    );
    // Looked for first: IF NOT EXISTS asks for the right before it looks.
    await runner.query(`
      DO $$ BEGIN
        IF to_regnamespace('sluice_staging') IS NULL THEN CREATE SCHEMA sluice_staging; END IF;
      END $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA IF EXISTS sluice_staging CASCADE');
    await runner.query('DROP TABLE sluice.ledger, sluice.job');
  }
}
