import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import type { PoolClient } from 'pg';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { v7 as uuidv7 } from 'uuid';
import type { DeadLettersResubmitted, ResubmitDeadLetters } from '#api/dead-letters.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { ReadMessage } from '#common/kafka/message.js';
import { createTopics } from '#common/kafka/transport/topics-admin.js';
import { inTransaction } from '#common/postgres/pool.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { Column, Table } from '#core/dataset/columns.js';
import type { Dataset, WriteMode } from '#core/dataset/dataset.js';
import { defineDataset } from '#core/dataset/define-dataset.js';
import { topicOf } from '#core/message/topics.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { PAGE_DEAD_LETTERS } from '#core/repair/letters-to-send.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { IngestorConfig } from '../ingestor.config.js';
import { messagesOf } from '../testing/messages-of.js';
import { NotSentCounts } from './not-sent.js';
import { RepairMetrics } from './repair.metrics.js';
import { Resubmission, type SentLot } from './resubmission.js';
import { Resubmissions } from './resubmissions.js';

@Table({ name: 'thing', key: ['number'] })
class Thing {
  @Column({ source: 'number' })
  number!: string | null;
}

const COLUMNS_ID = '00000000-0000-0000-0000-000000000001';

/** LQ1 to LQ3 and RF1 to RF5 are the invariants of `letters-to-send.ts` and `resubmission.ts`. */
/** How many dead letters the session of a client has read, of the whole table and by an index. */
async function rowsRead(client: PoolClient): Promise<{ all: number; byIndex: number }> {
  const { rows } = await client.query<{ all: string; byIndex: string }>(
    `SELECT seq_tup_read AS all, idx_tup_fetch AS "byIndex"
       FROM pg_stat_xact_user_tables WHERE relid = 'sluice.dead_letter'::regclass`,
  );
  return { all: Number(rows[0]?.all), byIndex: Number(rows[0]?.byIndex) };
}

describe('a resubmission', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let base: JobDatabase;
  let dataset: Dataset;
  let resubmissions: Resubmissions;
  let woken = 0;

  beforeAll(async () => {
    broker = await startTestKafka();
    const logger = pino({ level: 'silent' });
    kafka = createKafka({ brokers: broker.brokers, clientId: 'resubmission-spec', logger });
    base = await startJobDatabase();
  });

  afterAll(async () => {
    await base.stop();
    await broker.stop();
  });

  beforeEach(async () => {
    await base.forgetJobs();
    await query(
      'TRUNCATE sluice.dead_letter, sluice.dead_letter_edit, sluice.dead_letter_group, sluice.job_stage',
    );
    await query('TRUNCATE sluice.letter_columns, sluice.repair_action');
    await query(`INSERT INTO sluice.letter_columns (id, names) VALUES ($1, '{number}')`, [COLUMNS_ID]);
    dataset = { ...defineDataset({ title: 'Things', contract: Thing }), name: `things-${randomUUID()}` };
    await createTopics(kafka, [{ topic: topic(), partitions: 1, config: {} }], 1);
    woken = 0;
    resubmissions = ofIngestor();
  });

  afterEach(expectCountsToFit);

  const topic = (): string => topicOf(dataset.name, 'repair');

  const query = async <T>(sql: string, parameters: readonly unknown[] = []): Promise<T[]> =>
    await base.database.query<T[]>(sql, [...parameters]);

  function ofIngestor(datasets: readonly Dataset[] = [dataset]): Resubmissions {
    const registered = datasets.map((each) => ({
      ...{ name: each.name, dataset: each, folder: '/nowhere', schema: 'public', tables: ['thing'] },
    }));
    return new Resubmissions(
      base.database,
      new DatasetRegistry(registered),
      new IngestorConfig(),
      { wake: () => (woken += 1) } as never,
      new RepairMetrics(new Registry()),
      kafka,
      pino({ level: 'silent' }),
    );
  }

  /** A job that has ended as the facts say. @returns its id */
  async function ended(
    facts: {
      readonly state?: string;
      readonly resumable?: boolean;
      readonly repair?: string;
      readonly dryRun?: boolean;
    } = {},
    mode: WriteMode = 'upsert',
    contractVersion = 1,
  ): Promise<string> {
    const id = uuidv7();
    await base.jobs.create({
      ...{
        id,
        dataset: dataset.name,
        mode,
        secretUri: id,
        dryRun: facts.dryRun ?? false,
        limitRecords: null,
      },
      ...{ source: { kind: 'http', display: id, own: {} }, maxRefusedShare: 1, maxShrinkShare: null },
      ...{ options: {}, contractVersion, breaker: null },
      ...(facts.repair === undefined ? {} : { repair: facts.repair }),
    });
    const { state = 'succeeded', resumable = false } = facts;
    await query(
      `UPDATE sluice.job SET state = $2, resumable = $3, head = '{"columns": ["number"], "context": {"day": "1"}}',
         finished_at = CASE WHEN $2 = 'running' THEN NULL ELSE now() END WHERE id = $1`,
      [id, state, resumable],
    );
    return id;
  }

  /** Dead letters 0 to `values.length`, all in one group. @returns its id */
  async function refuse(
    job: string,
    values: readonly string[],
    facts: Record<string, unknown> = {},
  ): Promise<string> {
    const group = randomUUID();
    const { attempt = 0, codes = ['BAD'], of = dataset.name } = facts;
    await query(
      `INSERT INTO sluice.dead_letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes, findings,
                                       attempt, columns_id, bytes, group_id)
       SELECT $1, place - 1, $2, 0, place, 0, length(value), 'validate', $3, '[]', $4, $5, convert_to(value, 'UTF8'), $6
         FROM unnest($7::text[]) WITH ORDINALITY AS value (value, place)`,
      [job, of, codes, attempt, COLUMNS_ID, group, values],
    );
    await query(
      `INSERT INTO sluice.dead_letter_group (id, dataset, code, field, shape, open) VALUES ($1, $2, 'BAD', NULL, '', $3)`,
      [group, of, values.length],
    );
    await query(
      `INSERT INTO sluice.job_stage (job, stage, batches, records, bytes, accepted, refused, skipped, warnings, dead_letters, findings)
       VALUES ($1, 'validate', 1, 0, 0, 0, $2, 0, 0, $2, '{}')`,
      [job, values.length],
    );
    return group;
  }

  const resubmit = (facts: ResubmitDeadLetters = {}): Promise<DeadLettersResubmitted> =>
    resubmissions.resubmit(
      facts.ids === undefined && facts.group === undefined
        ? { filter: { dataset: dataset.name }, ...facts }
        : facts,
    );

  /** A job's share of a resubmission of all dead letters. */
  const newLot = (maxRecords: number, action: string = uuidv7()): Resubmission =>
    new Resubmission(
      { kafka, maxRecordBytes: 1024, limits: { maxRecords, maxMs: 600_000 } },
      dataset,
      {
        ...{ action, selection: {}, condition: { where: `'BAD' = ANY (letter.codes)`, parameters: [] } },
        ...{ reason: null, by: null, force: false },
      },
      new NotSentCounts(),
    );

  const states = async (): Promise<string[]> =>
    (
      await query<{ state: string; job: string | null; record: string | null }>(
        `SELECT state, successor_job AS job, successor_record AS record FROM sluice.dead_letter ORDER BY dead_letter.job, dead_letter.record`,
      )
    ).map(({ state, record }) => (record === null ? state : `${state} ${record}`));

  interface JobRow {
    readonly id: string;
    readonly state: string;
    readonly mode: string;
    readonly repair: string;
    readonly source: { readonly display: string };
    readonly after_job: string | null;
  }
  const repairJobs = (): Promise<JobRow[]> =>
    query<JobRow>(`SELECT * FROM sluice.job WHERE repair IS NOT NULL AND state = 'queued' ORDER BY id`);

  const textsOf = (messages: readonly ReadMessage[]): string[] =>
    messages.map(({ key, value, headers }) =>
      [
        String(key),
        String(value),
        ...['attempt', 'context', 'columns'].map((name) => String(headers[name])),
      ].join(' '),
    );

  /** Counts of groups and stages are what a scan counts (GC1). */
  async function expectCountsToFit(): Promise<void> {
    const wrong = await query(
      `SELECT known.id FROM sluice.dead_letter_group AS known
        WHERE (open, resubmitted) <> (SELECT count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'resubmitted')
                                        FROM sluice.dead_letter WHERE group_id = known.id)
       UNION ALL
       SELECT known.job FROM sluice.job_stage AS known
        WHERE resubmitted <> (SELECT count(*) FROM sluice.dead_letter WHERE job = known.job AND state = 'resubmitted')`,
    );
    expect(wrong).toEqual([]);
  }

  it('sends each open dead letter by the age of its job, then by record, as one range that one job reads (RF4)', async () => {
    const [first, second] = [await ended(), await ended()];
    await refuse(second, ['c', 'd']);
    await refuse(first, ['a', 'b'], { attempt: 1 });
    await query(`INSERT INTO sluice.dead_letter_edit (job, record, bytes, action) VALUES ($1, 1, 'B', $2)`, [
      first,
      randomUUID(),
    ]);
    const answer = await resubmit({ reason: 'the rule was wrong', by: 'me' });
    const [job] = await repairJobs();
    expect(answer).toEqual({
      ...{ action: expect.any(String), dryRun: false, resubmitted: 4, notSent: [], decided: 0, unknown: [] },
      jobs: [{ id: job?.id, dataset: dataset.name, records: 4 }],
    });
    expect(job).toMatchObject({
      ...{ mode: 'upsert', repair: answer.action, after_job: null },
      source: { display: `topic://${topic()}?0=0-4` },
    });
    expect(textsOf(await messagesOf(kafka, job?.source.display ?? ''))).toEqual([
      `${first}:0 a 2 {"day":"1"} ["number"]`,
      `${first}:1 B 2 {"day":"1"} ["number"]`,
      `${second}:0 c 1 {"day":"1"} ["number"]`,
      `${second}:1 d 1 {"day":"1"} ["number"]`,
    ]);
    expect(await states()).toEqual(['resubmitted 0', 'resubmitted 1', 'resubmitted 2', 'resubmitted 3']);
    expect(
      await query(
        'SELECT action, dead_letters, reason, by_whom, finished_at IS NOT NULL AS done FROM sluice.repair_action',
      ),
    ).toEqual([
      { action: 'resubmit', dead_letters: '4', reason: 'the rule was wrong', by_whom: 'me', done: true },
    ]);
    expect(woken).toBeGreaterThan(0);
  });

  it('does nothing the second time, and says so', async () => {
    const job = await ended();
    await refuse(job, ['a']);
    const ids = [`${job}:0`, `${job}:7`];
    expect(await resubmit({ ids })).toMatchObject({ resubmitted: 1, decided: 0, unknown: [`${job}:7`] });
    expect(await resubmit({ ids })).toEqual({
      ...{ action: null, dryRun: false, resubmitted: 0, jobs: [], notSent: [], decided: 1 },
      unknown: [`${job}:7`],
    });
    expect(await repairJobs()).toHaveLength(1);
  });

  it('of two at a time for the same dead letters, by two ingestors, sends each once (RF3)', async () => {
    const group = await refuse(
      await ended(),
      Array.from({ length: 50 }, (_, at) => String(at)),
    );
    const answers = await Promise.all([resubmissions, ofIngestor()].map((each) => each.resubmit({ group })));
    expect(answers.map(({ resubmitted }) => resubmitted).sort()).toEqual([0, 50]);
    expect(await repairJobs()).toHaveLength(1);
  });

  it('only counts in a dry run, with what would not be sent and why', async () => {
    await refuse(await ended(), ['a', 'b\nc', 'd']);
    await refuse(await ended(), ['e'], { attempt: 3 });
    const answer = await resubmit({ dryRun: true });
    expect(answer).toMatchObject({ action: null, dryRun: true, resubmitted: 2, jobs: [] });
    expect(answer.notSent.map(({ reason, count }) => [reason, count])).toEqual([
      ['NOT_ONE_RECORD', 1],
      ['PARKED', 1],
    ]);
    expect(new Set(await states())).toEqual(new Set(['open']));
    expect(await repairJobs()).toEqual([]);
  });

  it('leaves out what was submitted three times, unless it is forced', async () => {
    const job = await ended();
    await refuse(job, ['a'], { attempt: 3 });
    expect(await resubmit()).toMatchObject({
      resubmitted: 0,
      notSent: [{ reason: 'PARKED', count: 1, example: `${job}:0` }],
    });
    expect(await resubmit({ force: true })).toMatchObject({ resubmitted: 1, notSent: [] });
    const [repair] = await repairJobs();
    expect(textsOf(await messagesOf(kafka, repair?.source.display ?? ''))[0]).toContain(' a 4 ');
  });

  it('leaves out dead letters whose job may load their records itself, or whose record is open elsewhere (LQ1)', async () => {
    const open = [
      await ended({ state: 'running' }),
      await ended({ state: 'failed', resumable: true }),
      await ended({ state: 'cancelled', repair: randomUUID() }),
    ];
    for (const job of open) await refuse(job, ['a']);
    const over = [
      await ended({ state: 'failed' }),
      await ended({ state: 'cancelled' }),
      await ended({ repair: randomUUID() }),
    ];
    for (const job of over) await refuse(job, ['b']);
    expect(await resubmit()).toMatchObject({
      resubmitted: 3,
      notSent: [{ reason: 'JOB_UNDECIDED', count: 3 }],
    });
    expect(await states()).toEqual([
      'open',
      'open',
      'open',
      'resubmitted 0',
      'resubmitted 1',
      'resubmitted 2',
    ]);
  });

  it('leaves out dead letters of dry runs, and records that the contract would skip (RF5)', async () => {
    await refuse(await ended({ dryRun: true }), ['a', 'b']);
    const job = await ended();
    await refuse(job, ['""', 'c', '""']);
    for (const dryRun of [true, false]) {
      const answer = await resubmit({ dryRun });
      expect(answer.resubmitted).toBe(1);
      expect(answer.notSent.map(({ reason, count }) => [reason, count])).toEqual([
        ['BLANK', 2],
        ['DRY_RUN', 2],
      ]);
    }
    expect(await states()).toEqual(['open', 'open', 'open', 'resubmitted 0', 'open']);
  });

  it('of several datasets sends those that may be sent, and says which job keeps the other', async () => {
    const excluded = { ...dataset, name: `a-${randomUUID()}` };
    resubmissions = ofIngestor([excluded, dataset]);
    await refuse(await ended(), ['a'], { of: excluded.name });
    await refuse(await ended(), ['b']);
    const replacing = await ended({ state: 'running' }, 'replace');
    await query('UPDATE sluice.job SET dataset = $2 WHERE id = $1', [replacing, excluded.name]);
    const answer = await resubmit({ filter: { code: 'BAD' } });
    expect(answer).toMatchObject({
      jobs: [{ dataset: dataset.name, records: 1 }],
      notSent: [{ reason: 'JOB_ACTIVE', count: 1, message: expect.stringContaining(replacing) }],
    });
    expect(await query('SELECT finished_at IS NOT NULL AS done FROM sluice.repair_action')).toEqual([
      { done: true },
    ]);
  });

  it('leaves out what a newer contract has refused, and datasets that it does not have', async () => {
    await refuse(await ended({}, 'upsert', 2), ['a']);
    await refuse(await ended(), ['b'], { of: 'others' });
    const answer = await resubmit({ filter: { code: 'BAD' } });
    expect(answer).toMatchObject({ resubmitted: 0, action: null });
    expect(answer.notSent.map(({ reason, count }) => [reason, count])).toEqual([
      ['CONTRACT_NEWER', 1],
      ['DATASET_UNKNOWN', 1],
    ]);
    expect(await query('SELECT FROM sluice.repair_action')).toEqual([]);
  });

  it('is refused while a job replaces the tables, and leaves everything as it was', async () => {
    await refuse(await ended(), ['a']);
    const replacing = await ended({ state: 'running' }, 'replace');
    await expect(resubmit()).rejects.toMatchObject({
      ...{ code: 'JOB_ACTIVE', status: 409, members: { activeJob: replacing } },
    });
    expect(await states()).toEqual(['open']);
    await query(`UPDATE sluice.job SET state = 'succeeded', finished_at = now() WHERE id = $1`, [replacing]);
    expect(await resubmit()).toMatchObject({ resubmitted: 1 });
  });

  it('that does not come to its commit has sent nothing, and the next one sends all of it (RF1)', async () => {
    await refuse(await ended(), ['a', 'b']);
    const broken = new Error('the connection is gone');
    await expect(
      inTransaction(poolOf(base.database), async (client) => {
        await newLot(10).send(client, null, null);
        throw broken;
      }),
    ).rejects.toBe(broken);
    expect(await states()).toEqual(['open', 'open']);
    expect(await repairJobs()).toEqual([]);
    expect(await resubmit()).toMatchObject({ resubmitted: 2 });
    const [job] = await repairJobs();
    // Behind the two that no job covers, and the mark of their transaction.
    expect(job?.source.display).toBe(`topic://${topic()}?0=3-5`);
    expect((await messagesOf(kafka, job?.source.display ?? '')).map(({ value }) => String(value))).toEqual([
      'a',
      'b',
    ]);
  });

  it('of more than one job may have becomes several, each behind the one before it', async () => {
    const records = 2 * PAGE_DEAD_LETTERS + 1;
    await refuse(
      await ended(),
      Array.from({ length: records }, (_, at) => String(at)),
    );
    const action = uuidv7();
    const lots: SentLot[] = [];
    for (let last: SentLot | undefined; lots.length === 0 || (last?.next ?? null) !== null;) {
      const before: SentLot | undefined = last;
      last = await inTransaction(poolOf(base.database), (client) =>
        newLot(1, action).send(client, before?.next ?? null, before?.job ?? null),
      );
      lots.push(last);
    }
    const sent = lots.map(({ records: count }) => count);
    expect(sent).toEqual([PAGE_DEAD_LETTERS, PAGE_DEAD_LETTERS, 1, 0].slice(0, sent.length));
    const jobs = await repairJobs();
    expect(jobs.map(({ after_job }) => after_job)).toEqual([null, jobs[0]?.id, jobs[1]?.id]);
    expect(await query('SELECT dead_letters FROM sluice.repair_action')).toEqual([
      { dead_letters: String(records) },
    ]);
  });

  it('reads as many rows for a page wherever it stands (LQ4)', async () => {
    const records = 10 * PAGE_DEAD_LETTERS;
    await refuse(
      await ended(),
      Array.from({ length: records }, (_, at) => String(at)),
    );
    await query('ANALYZE sluice.dead_letter, sluice.job');
    const read = await inTransaction(poolOf(base.database), async (client) => {
      // A session counts on from what it has not yet reported of its earlier transactions.
      const before = await rowsRead(client);
      await newLot(2 * records).send(client, null, null);
      const after = await rowsRead(client);
      return { all: after.all - before.all, byIndex: (after.byIndex - before.byIndex) / records };
    });
    // To be found, to be read, to be marked, and some old versions; to read what stands behind each page takes six and more.
    expect(read.all).toBe(0);
    expect(read.byIndex).toBeLessThan(5);
  });

  it('reads large ones portion by portion, corrections included, and keeps their order (LQ3)', async () => {
    const job = await ended();
    const large = 'x'.repeat(250_000);
    const values = Array.from({ length: 20 }, (_, at) => `${at % 3 === 0 ? '' : large}${at}`);
    await refuse(job, values);
    const corrected = `${large} corrected`;
    await query(
      `INSERT INTO sluice.dead_letter_edit (job, record, bytes, action) VALUES ($1, 9, convert_to($2, 'UTF8'), $3)`,
      [job, corrected, randomUUID()],
    );
    expect(await resubmit()).toMatchObject({ resubmitted: 20, notSent: [] });
    const [repair] = await repairJobs();
    const sent = await messagesOf(kafka, repair?.source.display ?? '');
    expect(sent.map(({ value }) => String(value))).toEqual(values.with(9, corrected));
    expect(await states()).toEqual(values.map((_, record) => `resubmitted ${record}`));
  });

  it('names the dead letters in one way, or not at all', async () => {
    await expect(resubmissions.resubmit({})).rejects.toMatchObject({ code: 'REQUEST_INVALID', status: 422 });
    await expect(resubmissions.resubmit({ filter: {} })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('names the jobs that it has made when the brokers fail for a later dataset, and does the rest the next time', async () => {
    const later = { ...dataset, name: `without-${randomUUID()}` };
    resubmissions = ofIngestor([dataset, later]);
    await refuse(await ended(), ['a', 'b']);
    await refuse(await ended(), ['c'], { of: later.name });
    const failure: unknown = await resubmit({ filter: { code: 'BAD' } }).catch((error: unknown) => error);
    const [job] = await repairJobs();
    expect(failure).toMatchObject({
      ...{ code: 'TOPIC_MISSING', status: 422, message: expect.stringContaining(job?.id ?? 'no job') },
      members: { jobs: [{ id: job?.id, dataset: dataset.name, records: 2 }] },
    });
    expect(await states()).toEqual(['resubmitted 0', 'resubmitted 1', 'open']);
    expect(await query('SELECT finished_at IS NOT NULL AS done FROM sluice.repair_action')).toEqual([
      { done: true },
    ]);
    await createTopics(kafka, [{ topic: topicOf(later.name, 'repair'), partitions: 1, config: {} }], 1);
    expect(await resubmit({ filter: { code: 'BAD' } })).toMatchObject({
      jobs: [{ dataset: later.name, records: 1 }],
    });
  });

  it('says when the topic is missing', async () => {
    dataset = { ...dataset, name: `without-${randomUUID()}` };
    await refuse(await ended(), ['a']);
    resubmissions = ofIngestor();
    await expect(resubmit()).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    expect(await states()).toEqual(['open']);
  });
});
