import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The tracker's read model: folds of status events, and the index of dead letters. Every row can be made
 * again from the topics, so nothing refers to it and it refers to nothing: an event may come before or
 * after the job row that it is about has been seen or deleted.
 */
export class TrackerTables1700000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.job_batch (
        job uuid NOT NULL,
        batch bigint NOT NULL,
        stage text NOT NULL CHECK (stage IN ('ingest', 'validate', 'load')),
        records bigint NOT NULL,
        bytes bigint NOT NULL,
        accepted bigint NOT NULL,
        refused bigint NOT NULL,
        skipped bigint NOT NULL,
        warnings bigint NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (job, batch, stage)
      )`);
    await runner.query(`
      CREATE TABLE sluice.job_stage (
        job uuid NOT NULL,
        stage text NOT NULL CHECK (stage IN ('ingest', 'validate', 'load', 'finalize')),
        batches bigint NOT NULL,
        records bigint NOT NULL,
        bytes bigint NOT NULL,
        accepted bigint NOT NULL,
        refused bigint NOT NULL,
        skipped bigint NOT NULL,
        warnings bigint NOT NULL,
        dead_letters bigint NOT NULL,
        findings jsonb NOT NULL,
        first_at timestamptz,
        last_at timestamptz,
        step text,
        step_at timestamptz,
        PRIMARY KEY (job, stage)
      )`);
    await runner.query(`
      CREATE TABLE sluice.dead_letter (
        job uuid NOT NULL,
        record bigint NOT NULL,
        dataset text NOT NULL,
        batch bigint NOT NULL,
        line bigint NOT NULL,
        byte_start bigint NOT NULL,
        byte_end bigint NOT NULL,
        stage text NOT NULL CHECK (stage IN ('validate', 'load')),
        codes text[] NOT NULL,
        findings jsonb NOT NULL,
        sqlstate text,
        attempt bigint NOT NULL,
        columns text[] NOT NULL,
        bytes bytea NOT NULL,
        PRIMARY KEY (job, record)
      )`);
    // Filters by code or stage run along these two orders: an index by code would slow every insert and
    // could not give the pages' order.
    await runner.query('CREATE INDEX dead_letter_dataset ON sluice.dead_letter (dataset, job, record)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sluice.dead_letter, sluice.job_stage, sluice.job_batch');
  }
}
