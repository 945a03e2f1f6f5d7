import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a row of a job has that is no history: a source's credentials, leases, and what is announced. */
const PASSING = `ARRAY['secret_uri', 'owner', 'lease_until', 'announcer', 'announcer_until', 'announced', 'wait']`;
const ENDED = `('succeeded', 'failed', 'cancelled')`;
/** Dead letters in one message: some hundred bytes each. */
const CHUNK = 1_000;
const DECISION = (letter: string): string =>
  `jsonb_build_object('job', ${letter}.job, 'record', ${letter}.record, 'state', ${letter}.state, 'reason', ${letter}.reason,
     'successorJob', ${letter}.successor_job, 'successorRecord', ${letter}.successor_record)`;
/** Of a dead letter that is deleted: nothing is decided about the next one of its name. */
const FORGOTTEN = (letter: string): string =>
  `jsonb_build_object('job', ${letter}.job, 'record', ${letter}.record, 'state', 'open', 'reason', NULL::text,
     'successorJob', NULL::uuid, 'successorRecord', NULL::bigint)`;

/**
 * What the database alone knows, on its way to the topic `sluice.history`: jobs that have ended, the audit of repairs, and what was
 * decided about dead letters (docs/decisions/0028). Written by triggers in the transaction that changes the row, whatever code does
 * it; with the rights of the owner, so that no service needs more than it has.
 */
export class History1700000000025 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sluice.history_outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text NOT NULL,
        value jsonb NOT NULL
      )`);
    await runner.query(`
      CREATE FUNCTION sluice.note_job() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - ${PASSING} = to_jsonb(OLD) - ${PASSING} THEN RETURN NULL; END IF;
        INSERT INTO sluice.history_outbox (key, value) VALUES ('job:' || NEW.id, to_jsonb(NEW) - ${PASSING});
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE TRIGGER history_of_job AFTER INSERT OR UPDATE ON sluice.job
        FOR EACH ROW WHEN (NEW.state IN ${ENDED}) EXECUTE FUNCTION sluice.note_job()`);
    await runner.query(`
      CREATE FUNCTION sluice.note_repair_action() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        INSERT INTO sluice.history_outbox (key, value) VALUES ('action:' || NEW.id, to_jsonb(NEW));
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE TRIGGER history_of_repair_action AFTER INSERT ON sluice.repair_action
        FOR EACH ROW EXECUTE FUNCTION sluice.note_repair_action()`);
    await runner.query(`
      CREATE TRIGGER history_of_repair_action_end AFTER UPDATE ON sluice.repair_action
        FOR EACH ROW WHEN (OLD.finished_at IS DISTINCT FROM NEW.finished_at) EXECUTE FUNCTION sluice.note_repair_action()`);
    // A name of its own for each: nothing of them may be compacted away.
    await runner.query(`
      CREATE FUNCTION sluice.note_decisions() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        INSERT INTO sluice.history_outbox (key, value)
        SELECT 'letters:' || gen_random_uuid(), jsonb_build_object('letters', jsonb_agg(${DECISION('moved')}))
        FROM (SELECT letter.*, (row_number() OVER () - 1) / ${CHUNK} AS chunk
              FROM letters_after AS letter JOIN letters_before AS before USING (job, record)
              WHERE letter.state <> before.state) AS moved
        GROUP BY moved.chunk;
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE TRIGGER history_of_dead_letters AFTER UPDATE ON sluice.dead_letter
        REFERENCING OLD TABLE AS letters_before NEW TABLE AS letters_after
        FOR EACH STATEMENT EXECUTE FUNCTION sluice.note_decisions()`);
    // A job that begins again may have another dead letter of the same number: what was decided about the first is not its.
    await runner.query(`
      CREATE FUNCTION sluice.note_forgotten() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        INSERT INTO sluice.history_outbox (key, value)
        SELECT 'letters:' || gen_random_uuid(), jsonb_build_object('letters', jsonb_agg(${FORGOTTEN('gone')}))
        FROM (SELECT letter.*, (row_number() OVER () - 1) / ${CHUNK} AS chunk
              FROM letters_before AS letter WHERE letter.state <> 'open') AS gone
        GROUP BY gone.chunk;
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE TRIGGER history_of_forgotten_dead_letters AFTER DELETE ON sluice.dead_letter
        REFERENCING OLD TABLE AS letters_before
        FOR EACH STATEMENT EXECUTE FUNCTION sluice.note_forgotten()`);
    await this.noteAll(runner);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TRIGGER history_of_job ON sluice.job');
    await runner.query('DROP TRIGGER history_of_repair_action ON sluice.repair_action');
    await runner.query('DROP TRIGGER history_of_repair_action_end ON sluice.repair_action');
    await runner.query('DROP TRIGGER history_of_dead_letters ON sluice.dead_letter');
    await runner.query('DROP TRIGGER history_of_forgotten_dead_letters ON sluice.dead_letter');
    await runner.query(
      'DROP FUNCTION sluice.note_job(), sluice.note_repair_action(), sluice.note_decisions(), sluice.note_forgotten()',
    );
    await runner.query('DROP TABLE sluice.history_outbox');
  }

  /** What was there before. */
  private async noteAll(runner: QueryRunner): Promise<void> {
    await runner.query(`
      INSERT INTO sluice.history_outbox (key, value)
      SELECT 'job:' || id, to_jsonb(job) - ${PASSING} FROM sluice.job WHERE state IN ${ENDED} ORDER BY id`);
    await runner.query(`
      INSERT INTO sluice.history_outbox (key, value)
      SELECT 'action:' || id, to_jsonb(done) FROM sluice.repair_action AS done ORDER BY id`);
    await runner.query(`
      INSERT INTO sluice.history_outbox (key, value)
      SELECT 'letters:' || gen_random_uuid(), jsonb_build_object('letters', jsonb_agg(${DECISION('moved')}))
      FROM (SELECT letter.*, (row_number() OVER (ORDER BY job, record) - 1) / ${CHUNK} AS chunk
            FROM sluice.dead_letter AS letter WHERE state <> 'open') AS moved
      GROUP BY moved.chunk`);
  }
}
