import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { v7 as uuidv7 } from 'uuid';
import { createPool } from '#common/postgres/pool.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { MessageFacts } from '#core/message/message-facts.js';
import { countMoves } from '#core/repair/dead-letter-sums.js';
import { markResubmitted } from '#core/repair/letters-to-send.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { queueJob } from '#test/support/queued-job.js';
import { JobRepository } from '#core/job/job.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import type { DataSource } from 'typeorm';
import type { FoldRepository } from '../fold/fold.repository.js';
import { foldsOver } from '../testing/folds.js';
import { letter } from '../testing/read-api-rows.js';
import { GIVEN_UP_REASON, RepairOutcomes, STEP_DEAD_LETTERS } from './repair-outcomes.js';

const DATASET = 'shops';

/** RO1 to RO3 are the invariants of repair-outcomes.ts. */
describe('the outcome of a repair job', () => {
  let server: TestDatabase;
  let database: DataSource;
  let pool: pg.Pool;
  let folds: FoldRepository;
  let outcomes: RepairOutcomes;
  let origin: string;
  let repair: string;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
    pool = createPool({ url: server.url, applicationName: 'outcome test', maxConnections: 6 });
    folds = foldsOver(pool);
  });

  afterAll(async () => {
    await pool.end();
    await database.destroy();
    await server.stop();
  });

  beforeEach(async () => {
    await pool.query(`TRUNCATE sluice.job, sluice.dead_letter, sluice.dead_letter_group, sluice.letter_columns,
      sluice.job_batch, sluice.job_stage CASCADE`);
    outcomes = tracker();
    origin = uuidv7();
    repair = await queueJob(new JobRepository(database), DATASET);
    await pool.query('UPDATE sluice.job SET repair = $2 WHERE id = $1', [repair, uuidv7()]);
  });

  afterEach(expectCountsToFit);

  const tracker = (): RepairOutcomes => new RepairOutcomes(pool, pino({ level: 'silent' }), new Registry());

  const refused = (job: string, record: number, facts: Partial<DeadLetter> = {}): DeadLetter =>
    letter(job, record, { dataset: DATASET, bytes: Buffer.from(`${record},x`), ...facts });

  /** Dead letters of the origin, submitted as records 0 and so on of the repair job. */
  async function submitted(count: number): Promise<void> {
    const letters = Array.from({ length: count }, (_, record) => refused(origin, record));
    for (let at = 0; at < count; at += 1_000) await folds.indexDeadLetters(letters.slice(at, at + 1_000));
    await markResubmitted(pool, letters, repair, 0);
    const { rows } = await pool.query<{ job: string; stage: string; group: string; count: number }>(
      `SELECT job, stage, group_id AS group, count(*)::integer AS count FROM sluice.dead_letter GROUP BY 1, 2, 3`,
    );
    await countMoves(
      pool,
      'open',
      rows.map((row) => ({ ...row, to: 'resubmitted' })),
    );
  }

  /** What the repair job refuses: its records of these numbers. */
  const again = (records: readonly number[]): Promise<unknown> =>
    folds.indexDeadLetters(
      records.map((record) => refused(repair, record, { message: messageOf(`${origin}:${record}`) })),
    );

  const messageOf = (key: string): MessageFacts => ({
    ...{ topic: `sluice.${DATASET}.repair`, partition: 0, offset: '1', timestamp: null },
    ...{ key: { text: key }, headers: [{ name: 'attempt', value: { text: '2' } }] },
  });

  const ends = (state: string, refusedRecords: number | null, resumable = false): Promise<unknown> =>
    pool.query(
      `UPDATE sluice.job SET state = $2, resumable = $3, finished_at = now(), counts = $4 WHERE id = $1`,
      [repair, state, resumable, refusedRecords === null ? null : { refused: refusedRecords }],
    );

  const statesOf = async (job: string): Promise<string[]> =>
    (
      await pool.query<{ state: string }>(
        'SELECT state FROM sluice.dead_letter WHERE job = $1 ORDER BY record',
        [job],
      )
    ).rows.map(({ state }) => state);

  async function expectCountsToFit(): Promise<void> {
    const columns = ['resubmitted', 'landed', 'refused_again', 'discarded'];
    const scanned = columns
      .map((name) => `count(*) FILTER (WHERE state = '${name.replace('_', '-')}')`)
      .join(', ');
    const { rows } = await pool.query(
      `SELECT known.id FROM sluice.dead_letter_group AS known
        WHERE (open, ${columns.join(', ')}) <> (SELECT count(*) FILTER (WHERE state = 'open'), ${scanned} FROM sluice.dead_letter WHERE group_id = known.id)
       UNION ALL
       SELECT known.job FROM sluice.job_stage AS known
        WHERE (${columns.join(', ')}) <> (SELECT ${scanned} FROM sluice.dead_letter WHERE job = known.job AND stage = known.stage)`,
    );
    expect(rows).toEqual([]);
  }

  it('is landed for each record that no dead letter names, refused again for the others, which are linked', async () => {
    await submitted(4);
    await again([1, 3]);
    await ends('succeeded', 2);
    await outcomes.turn();
    expect(await statesOf(origin)).toEqual(['landed', 'refused-again', 'landed', 'refused-again']);
    expect(await statesOf(repair)).toEqual(['open', 'open']);
    const { rows } = await pool.query(
      `SELECT first.job, first.record, next.attempt FROM sluice.dead_letter AS next
         JOIN sluice.dead_letter AS first ON (first.job, first.record) = (next.predecessor_job, next.predecessor_record)
          AND (first.successor_job, first.successor_record) = (next.job, next.record) ORDER BY first.record`,
    );
    expect(rows).toEqual([
      { job: origin, record: '1', attempt: '2' },
      { job: origin, record: '3', attempt: '2' },
    ]);
  });

  it('is not decided before the job has ended, nor before all of its dead letters are folded (RO1)', async () => {
    await submitted(2);
    await outcomes.turn();
    await ends('succeeded', 1);
    await outcomes.turn();
    expect(await statesOf(origin)).toEqual(['resubmitted', 'resubmitted']);
    await again([0]);
    await outcomes.turn();
    expect(await statesOf(origin)).toEqual(['refused-again', 'landed']);
  });

  it('says once, and counts, when dead letters of the job are not folded for minutes (RO1)', async () => {
    const logged: string[] = [];
    const registry = new Registry();
    const logger = pino({ base: null, timestamp: false }, { write: (line: string) => logged.push(line) });
    const late = async (): Promise<unknown> =>
      (await registry.getSingleMetric('sluice_repair_jobs_undecided')?.get())?.values;
    outcomes = new RepairOutcomes(pool, logger, registry);
    await submitted(2);
    await again([0]);
    await ends('succeeded', 2);
    await outcomes.turn();
    expect([logged, await late()]).toEqual([[], []]);
    await pool.query(`UPDATE sluice.job SET finished_at = now() - interval '6 minutes'`);
    await outcomes.turn();
    await outcomes.turn();
    expect(logged.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: 40, job: repair, dataset: DATASET, known: 1, refused: 2, msg: expect.any(String) },
    ]);
    expect(await late()).toEqual([{ labels: { dataset: DATASET }, value: 1 }]);
    await again([1]);
    await outcomes.turn();
    expect(await late()).toEqual([]);
    expect(await statesOf(origin)).toEqual(['refused-again', 'refused-again']);
  });

  it('is not decided while the job can be resumed', async () => {
    await submitted(1);
    await ends('failed', 0, true);
    await outcomes.turn();
    expect(await statesOf(origin)).toEqual(['resubmitted']);
  });

  it.each(['cancelled', 'failed'])(
    'of one that is %s: all are open again, and what it has refused itself is given up, also what is folded later (RO2)',
    async (state) => {
      await submitted(3);
      await again([1]);
      await ends(state, null);
      await outcomes.turn();
      await again([2]);
      await outcomes.turn();
      expect(await statesOf(origin)).toEqual(['open', 'open', 'open']);
      const { rows } = await pool.query(
        `SELECT state, reason FROM sluice.dead_letter WHERE job = $1 UNION ALL
         SELECT state, successor_job::text FROM sluice.dead_letter WHERE job = $2`,
        [repair, origin],
      );
      expect(rows).toEqual([
        ...Array.from({ length: 2 }, () => ({ state: 'discarded', reason: GIVEN_UP_REASON })),
        ...Array.from({ length: 3 }, () => ({ state: 'open', reason: null })),
      ]);
    },
  );

  it('of many is decided in steps, by several trackers, once each (RO3)', async () => {
    const count = 2 * STEP_DEAD_LETTERS + 5;
    await submitted(count);
    await again([0, 7, count - 1]);
    await ends('succeeded', 3);
    await Promise.all([outcomes, tracker(), tracker()].map((each) => each.turn()));
    const states = await statesOf(origin);
    expect(states.flatMap((state, at) => (state === 'landed' ? [] : [`${at} ${state}`]))).toEqual([
      ...['0 refused-again', '7 refused-again', `${count - 1} refused-again`],
    ]);
  });
});
