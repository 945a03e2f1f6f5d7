import type { MigrationInterface, QueryRunner } from 'typeorm';

/** As whom each service works, where each has a role of its own: who starts a job asks for another's rights. */
export class ServiceRoles1700000000008 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.service_role (
        service text PRIMARY KEY,
        role text NOT NULL
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sluice.service_role');
  }
}
