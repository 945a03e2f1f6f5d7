import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import { createPool } from '#common/postgres/pool.js';
import { beginAgain } from '#core/job/begin-again.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { BatchEvent } from '#core/message/status-event.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { eventually } from '#test/support/eventually.js';
import { OWN_LOCKS, type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { DeadLetterReader } from '../read-api/dead-letter.reader.js';
import { DeadLetterColumns } from '../rows/dead-letter-columns.entity.js';
import { DeadLetterGroupRow } from '../rows/dead-letter-group.entity.js';
import { DeadLetterRow } from '../rows/dead-letter.entity.js';
import { JobBatch } from '../rows/job-batch.entity.js';
import { JobStage } from '../rows/job-stage.entity.js';
import { ParkedMessageRow } from '../rows/parked-message.entity.js';
import { RepairActionRow } from '../rows/repair-action.entity.js';
import { anyEvents, shuffled } from '../testing/events.js';
import type { JobFact } from './fold-stages.js';
import type { FoldRepository } from './fold.repository.js';
import { foldsOver } from '../testing/folds.js';
import { MESSAGE } from '../testing/read-api-rows.js';
import { columnsId } from './storable-dead-letter.js';

const JOB = '01890000-0000-7000-8000-000000000001';

describe('FoldRepository', () => {
  let server: TestDatabase;
  let database: DataSource;
  let pool: pg.Pool;
  let folds: FoldRepository;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    database = await controlDatabase({ url: server.url, applicationName: 'fold test' }, [
      JobBatch,
      JobStage,
      DeadLetterRow,
      DeadLetterColumns,
      DeadLetterGroupRow,
      RepairActionRow,
      ParkedMessageRow,
    ]).initialize();
    pool = createPool({ url: server.url, applicationName: 'fold test', maxConnections: 4 });
    folds = foldsOver(pool);
  });
  afterAll(async () => {
    await pool.end();
    await database.destroy();
    await server.stop();
  });
  beforeEach(() => folds.clear());

  const stages = (): Promise<JobStage[]> =>
    database.getRepository(JobStage).find({ order: { job: 'ASC', stage: 'ASC' } });
  const batches = (): Promise<JobBatch[]> =>
    database.getRepository(JobBatch).find({ order: { job: 'ASC', batch: 'ASC', stage: 'ASC' } });
  const letters = (): Promise<DeadLetterRow[]> =>
    database.getRepository(DeadLetterRow).find({ order: { job: 'ASC', record: 'ASC' } });

  it('has tables that fit its entities', async () => {
    const { upQueries } = await database.driver.createSchemaBuilder().log();
    const changes = upQueries.map(({ query }) => query);
    // Entities do not repeat the checks, nor the indexes of others' tables; everything else must be the same.
    const ours = changes.filter((query) =>
      /job_batch|job_stage|dead_letter|letter_columns|parked_message|repair_action/.test(query),
    );
    expect(ours.filter((query) => !/DROP CONSTRAINT .*_check"$/.test(query))).toEqual([]);
  });

  it('gives the same folds for any order, any repeats, any deliveries, side by side or not (G7)', async () => {
    await fc.assert(
      fc.asyncProperty(anyEvents(), fc.infiniteStream(fc.nat()), async (events, choices) => {
        await folds.clear();
        await folds.foldEvents(events);
        const inOrder = [await stages(), await batches()];
        await folds.clear();
        const deliveries = shuffled(events, choices);
        while (deliveries.length > 0) {
          await Promise.all(deliveries.splice(0, 3).map((delivery) => folds.foldEvents(delivery)));
        }
        expect([await stages(), await batches()]).toEqual(inOrder);
      }),
      { numRuns: 40 },
    );
  });

  it('adds up stages as the events say', async () => {
    const events = [
      batchEvent({ findings: { BAD: 1, ODD: 2 }, at: '2026-01-01T00:00:02.000Z' }),
      batchEvent({ batch: 1, findings: { BAD: 3 }, at: '2026-01-01T00:00:01.000Z' }),
      step('index', 5),
      step('swap', 6),
    ];
    await folds.foldEvents(events);
    await folds.foldEvents(events);
    expect(await stages()).toEqual([
      expect.objectContaining({
        stage: 'finalize',
        batches: 0,
        step: 'swap',
        stepAt: new Date('2026-01-01T00:00:06Z'),
      }),
      {
        job: JOB,
        stage: 'validate',
        batches: 2,
        records: 14,
        bytes: 140,
        accepted: 12,
        refused: 2,
        skipped: 0,
        warnings: 0,
        deadLetters: 0,
        ...{ resubmitted: 0, landed: 0, refusedAgain: 0, discarded: 0 },
        findings: { BAD: 4, ODD: 2 },
        unknownMembers: {},
        firstAt: new Date('2026-01-01T00:00:01Z'),
        lastAt: new Date('2026-01-01T00:00:02Z'),
        step: null,
        stepAt: null,
      },
    ]);
  });

  it('adds up the names of unknown members, and keeps the most frequent ones (FS4)', async () => {
    const many = Object.fromEntries(Array.from({ length: 19 }, (_, at) => [`m${at}`, 2]));
    await folds.foldEvents([batchEvent({ unknownMembers: { ...many, phone: 3 } })]);
    await folds.foldEvents([batchEvent({ batch: 1, unknownMembers: { phone: 4, fax: 1 } })]);
    await folds.foldEvents([batchEvent({ batch: 2, unknownMembers: { '\\u{1b}"[2J': 9 } })]);
    const [{ unknownMembers } = { unknownMembers: {} }] = await stages();
    expect(Object.keys(unknownMembers)).toHaveLength(20);
    expect(unknownMembers).toMatchObject({ phone: 7, m0: 2, '\\u{1b}"[2J': 9 });
    expect(unknownMembers).not.toHaveProperty('fax');
  });

  it('reports which events were new (FR1)', async () => {
    const first = batchEvent({});
    const second = batchEvent({ batch: 1 });
    expect(await folds.foldEvents([first, first])).toEqual([first]);
    expect(await folds.foldEvents([first, second, step('index', 1)])).toEqual([second]);
    expect(await folds.foldEvents([])).toEqual([]);
  });

  it('keeps the earliest time of a batch, in any order, and counts it once', async () => {
    const at = (second: number) =>
      batchEvent({ at: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString() });
    for (const delivery of [[at(3)], [at(2), at(1), at(4)], [at(2)]]) await folds.foldEvents(delivery);
    expect(await batches()).toMatchObject([{ at: new Date('2026-01-01T00:00:01Z') }]);
    expect(await stages()).toMatchObject([
      { batches: 1, firstAt: new Date('2026-01-01T00:00:01Z'), lastAt: new Date('2026-01-01T00:00:04Z') },
    ]);
  });

  it('sums facts without times as their announcements would be, before or after these', async () => {
    const events = [
      batchEvent({ findings: { BAD: 1 } }),
      batchEvent({ batch: 1, at: '2026-01-01T00:00:09.000Z' }),
    ];
    const facts = events.map((event) => ({ ...event, at: '2026-01-01T00:01:00.000Z' }));
    await folds.foldEvents(events);
    const inTime = [await stages(), await batches()];
    await folds.foldFacts(facts);
    expect([await stages(), await batches()]).toEqual(inTime);
    await folds.clear();
    await folds.foldFacts(facts);
    expect(await stages()).toMatchObject([{ batches: 2, records: 14, findings: { BAD: 1 }, firstAt: null }]);
    await folds.foldEvents(events);
    expect([await stages(), await batches()]).toEqual(inTime);
  });

  it('keeps dead letters whole: any bytes, words that jsonb would refuse, quotes and backslashes', async () => {
    const odd = letter({
      bytes: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
      findings: [
        {
          code: 'BAD',
          field: 'a"b\\c{}',
          message: 'NUL \0, half \ud83d, whole 😀, "\\u0000"',
          severity: 'error',
        },
        { code: 'ODD', field: null, message: '', severity: 'warning' },
      ],
      columns: ['統一編號', '', 'NULL', '"{},\\'],
      sqlstate: '22001',
      line: 2 ** 52,
      message: MESSAGE,
    });
    await folds.indexDeadLetters([odd]);
    const { columns, ...stored } = odd;
    expect(await letters()).toEqual([
      {
        ...stored,
        columnsId: columnsId(columns ?? []),
        groupId: expect.any(String),
        ...{ state: 'open', reason: null, predecessorJob: null, predecessorRecord: null },
        ...{ successorJob: null, successorRecord: null },
        codes: ['BAD'],
        findings: [
          { ...odd.findings[0], message: 'NUL \u{fffd}, half \u{fffd}, whole 😀, "\\u0000"' },
          odd.findings[1],
        ],
      },
    ]);
  });

  it('keeps a list of columns once for all dead letters that have it', async () => {
    const others = ['統一編號', '', 'NULL', '"{},\\'];
    await Promise.all([
      folds.indexDeadLetters([letter({ record: 1 }), letter({ record: 2, columns: others })]),
      folds.indexDeadLetters([
        letter({ record: 3, columns: others }),
        letter({ record: 4 }),
        letter({ record: 5 }),
      ]),
    ]);
    const lists = await database.getRepository(DeadLetterColumns).find();
    expect(new Map(lists.map(({ id, names }) => [id, names]))).toEqual(
      new Map([['name'], others].map((names) => [columnsId(names), names])),
    );
    expect(lists).toHaveLength(2);
  });

  describe('with job rows', () => {
    beforeEach(async () => {
      await pool.query('TRUNCATE sluice.job CASCADE');
      await pool.query(
        `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
           contract_version, epoch, first_epoch, head)
         VALUES ($1, 'shops', 'replace', 'running', '{}', '', false, 0.05, '{}', 1, 4, 3, '{"columns":["of the job"]}')`,
        [JOB],
      );
    });
    afterEach(() => pool.query('TRUNCATE sluice.job CASCADE'));

    it('gives dead letters without columns those of their job', async () => {
      await folds.indexDeadLetters([letter({ epoch: 3, columns: null })]);
      expect((await database.getRepository(DeadLetterColumns).find()).map(({ names }) => names)).toEqual([
        ['of the job'],
      ]);
    });

    it('gives them those of another dead letter where the row is lost, of this delivery or an earlier one', async () => {
      await pool.query('TRUNCATE sluice.job CASCADE');
      await folds.indexDeadLetters([
        letter({ record: 1, columns: null }),
        letter({ record: 2, columns: ['told'] }),
      ]);
      await folds.indexDeadLetters([letter({ record: 3, columns: null })]);
      expect(new Set((await letters()).map(({ columnsId: id }) => id))).toEqual(
        new Set([columnsId(['told'])]),
      );
    });

    it('does not fold what is of an attempt that the job has thrown away, or never made (FR4)', async () => {
      const epochs = [undefined, 2, 3, 4, 5];
      const events = epochs.map((epoch, batch) =>
        batchEvent({ batch, ...(epoch === undefined ? {} : { epoch }) }),
      );
      expect((await folds.foldEvents(events)).map(({ epoch }) => epoch)).toEqual([3, 4]);
      expect(await stages()).toMatchObject([{ batches: 2 }]);
      const all = epochs.map((epoch, record) =>
        letter({ record, ...(epoch === undefined ? {} : { epoch }) }),
      );
      expect((await folds.indexDeadLetters(all)).map(({ epoch }) => epoch)).toEqual([3, 4]);
    });

    it('waits with folding for a job that begins again, and sees that it has (BA2)', async () => {
      const client = await pool.connect();
      await client.query('BEGIN');
      await client.query(`UPDATE sluice.job SET state = 'queued' WHERE id = $1`, [JOB]);
      await beginAgain(client, JOB, 1);
      const folding = folds.foldEvents([batchEvent({ epoch: 4 })]);
      await eventually(async () => {
        const { rowCount } = await pool.query(
          `SELECT FROM ${OWN_LOCKS} WHERE locktype = 'advisory' AND NOT granted`,
        );
        return rowCount === 1;
      }, 'the folding to wait');
      await client.query('COMMIT');
      client.release();
      expect(await folding).toEqual([]);
      expect(await batches()).toEqual([]);
    });
  });

  it('are read page by page, and no page is larger than a few megabytes (G9)', async () => {
    const columns = Array.from({ length: 1_000 }, (_, at) => `${'x'.repeat(200)}${at}`);
    const records = Array.from({ length: 60 }, (_, record) => record);
    await folds.indexDeadLetters(records.map((record) => letter({ record, columns })));
    const reader = new DeadLetterReader(database);
    const read: number[] = [];
    const pages: number[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await reader.list({ limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
      read.push(...page.items.map(({ record }) => record));
      pages.push(Buffer.byteLength(JSON.stringify(page)));
      if (page.next === null) break;
      cursor = page.next;
    }
    expect(read).toEqual(records);
    expect(pages.length).toBeGreaterThan(2);
    expect(Math.max(...pages)).toBeLessThan(5 * 1024 * 1024);
  });

  it('counts each dead letter once, however often it is delivered, also before the event of its batch', async () => {
    const [a, b, c] = [letter({ record: 1 }), letter({ record: 2 }), letter({ record: 3, stage: 'load' })];
    const delivered = await Promise.all([
      folds.indexDeadLetters([b, a, a]),
      folds.indexDeadLetters([c, a, b]),
    ]);
    expect(
      delivered
        .flat()
        .map(({ record }) => record)
        .sort(),
    ).toEqual([1, 2, 3]);
    expect(await folds.indexDeadLetters([a, b, c])).toEqual([]);
    await folds.foldEvents([batchEvent({})]);
    expect(await stages()).toMatchObject([
      { stage: 'load', deadLetters: 1, batches: 0, firstAt: null },
      { stage: 'validate', deadLetters: 2, batches: 1, refused: 1 },
    ]);
  });

  it('leaves nothing behind when the database ends the transaction, and asks for the delivery again (FR3)', async () => {
    const blocker = await pool.connect();
    await blocker.query('BEGIN; LOCK TABLE sluice.job_stage');
    const folding = folds.foldEvents([batchEvent({})]);
    const refused = expect(folding).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', retryable: true });
    await eventually(async () => {
      const { rowCount } = await pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()`,
      );
      return rowCount !== null && rowCount > 0;
    }, 'the folding to wait for the lock');
    await refused;
    await blocker.query('ROLLBACK');
    blocker.release();
    expect(await batches()).toEqual([]);
    expect(await folds.foldEvents([batchEvent({})])).toHaveLength(1);
  });
});

function batchEvent(facts: Partial<BatchEvent>): BatchEvent {
  return {
    type: 'batch',
    dataset: 'shops',
    job: JOB,
    batch: 0,
    stage: 'validate',
    records: 7,
    bytes: 70,
    accepted: 6,
    refused: 1,
    skipped: 0,
    warnings: 0,
    findings: {},
    at: '2026-01-01T00:00:00.000Z',
    ...facts,
  };
}

function step(name: string, second: number): JobFact {
  const at = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return { type: 'job', dataset: 'shops', job: JOB, state: 'finalizing', step: name, at };
}

function letter(facts: Partial<DeadLetter>): DeadLetter {
  return {
    dataset: 'shops',
    job: JOB,
    batch: 0,
    record: 0,
    line: 2,
    byteStart: 10,
    byteEnd: 20,
    stage: 'validate',
    findings: [{ code: 'BAD', field: 'name', message: 'is wrong', severity: 'error' }],
    sqlstate: null,
    attempt: 0,
    columns: ['name'],
    bytes: Buffer.from('x'),
    ...facts,
  };
}
