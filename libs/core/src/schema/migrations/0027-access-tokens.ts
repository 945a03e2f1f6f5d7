import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tokens of the HTTP ports, by their hashes. A revoked one stays: its name means one token for ever. */
export class AccessTokens1700000000027 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.access_token (
        name text PRIMARY KEY,
        hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
        role text NOT NULL CHECK (role IN ('read', 'operate', 'admin')),
        created_at timestamptz NOT NULL DEFAULT now(),
        created_by text NOT NULL,
        expires_at timestamptz,
        last_used_at timestamptz,
        revoked_at timestamptz
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sluice.access_token');
  }
}
