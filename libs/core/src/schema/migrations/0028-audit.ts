import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who gave which command. What a command did to dead letters stays in `sluice.repair_action`, which `targets` names.
 *
 * Not `audit`: where the role is named as the schema, as `sluice up` has it, its search path leads there first, and a trigger on a
 * target table that writes to its own `audit` would write to ours.
 */
export class Audit1700000000028 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.command_audit (
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
    await runner.query('DROP TABLE sluice.command_audit');
  }
}
