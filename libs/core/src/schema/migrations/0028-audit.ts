import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who gave which command. What a command did to dead letters stays in `sluice.repair_action`, which `targets` names. */
export class Audit1700000000028 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.audit (
        id uuid PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        service text NOT NULL,
        who text NOT NULL,
        caller text NOT NULL CHECK (caller IN ('local', 'open', 'token', 'oidc', 'command line')),
        role text CHECK (role IN ('read', 'operate', 'admin')),
        action text NOT NULL,
        dataset text,
        targets text[] NOT NULL DEFAULT '{}',
        outcome text,
        finished_at timestamptz
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sluice.audit');
  }
}
