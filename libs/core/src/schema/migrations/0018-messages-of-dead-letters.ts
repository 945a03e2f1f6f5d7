import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Where the message stood that a refused record came in, and what it said; null for records of files. */
export class MessagesOfDeadLetters1700000000018 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.dead_letter ADD message jsonb');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sluice.dead_letter DROP COLUMN message');
  }
}
