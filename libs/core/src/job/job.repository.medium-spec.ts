import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { eventually } from '#test/support/eventually.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { OWN_LOCKS } from '#test/support/postgres.js';
import { queueJob } from '#test/support/queued-job.js';
import type { Claim } from './ingest-claim.js';
import type { JobStart } from './ingestor-transitions.js';
import { type Checkpoint, Job } from './job.entity.js';

const START: JobStart = {
  cutting: { format: 'csv', maxBatchBytes: 1024, maxBatchRecords: 10, maxRecordBytes: 512, partitions: 3 },
  head: { columns: ['a'], context: {}, dataStart: 2, firstLine: 2 },
  sourceIdentity: { bytes: 10, etag: null, lastModified: null },
  expectedBytes: 10,
  contractVersion: 1,
  signed: false,
};

const END: Checkpoint = {
  nextBatch: 2,
  nextRecord: 20,
  byteOffset: 10,
  nextLine: 22,
  chainSha256: 'ab',
  crc32cSum: 7,
};

describe('JobRepository on real PostgreSQL', () => {
  let base: JobDatabase;
  let database: JobDatabase['database'];
  let jobs: JobDatabase['jobs'];
  let operator: JobDatabase['operator'];

  beforeAll(async () => {
    base = await startJobDatabase();
    ({ database, jobs, operator } = base);
  });

  afterAll(() => base.stop());

  beforeEach(() => base.forgetJobs());

  const queue = (dataset?: string): Promise<string> => queueJob(jobs, dataset);

  async function claimed(): Promise<Claim> {
    const claim = await jobs.claimNext('one');
    if (!claim) throw new Error('nothing to claim');
    return claim;
  }

  const expire = (id: string): Promise<unknown> =>
    database.query(`UPDATE sluice.job SET lease_until = now() - interval '1 second' WHERE id = $1`, [id]);

  const doNothing = (): Promise<void> => Promise.resolve();

  it.each([
    ['continued', 'paused'],
    ['resumed', 'failed'],
  ])('is published again from the first dropped batch on when it is %s (LD9)', async (_how, state) => {
    const id = await queue();
    const claim = await claimed();
    await jobs.start(claim, START, doNothing);
    await jobs.saveCheckpoint(claim, END);
    if (state === 'paused') await operator.pause(id);
    else await jobs.fail(claim, { code: 'X', message: '', action: '' });
    await database.query('UPDATE sluice.job SET dropped_from = 1 WHERE id = $1', [id]);
    await (state === 'paused' ? operator.continue(id) : operator.resume(id));
    // The ingestor that had it cannot end the source meanwhile.
    await expect(jobs.finishSource(claim, END)).rejects.toMatchObject({ code: 'JOB_LOST' });
    expect(await jobs.load(id)).toMatchObject({
      ...{ state: 'running', republishFrom: 1, droppedFrom: null, totalBatches: null, checkpoint: END },
    });
    await claimed();
  });

  it('is complete when its source is read to the end, if every batch is loaded by then', async () => {
    const completedAt = async (batches: number): Promise<Date | null> => {
      await base.forgetJobs();
      const id = await queue();
      const claim = await claimed();
      await jobs.start(claim, START, doNothing);
      for (let batch = 0; batch < batches; batch++)
        await database.query(
          `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c,
             accepted, refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset)
           VALUES ($1, $2, 0, 2, 1, 0, 10, 1, 1, 0, 0, 0, '{}', 'raw', 0, $2)`,
          [id, batch],
        );
      await jobs.finishSource(claim, END);
      return (await jobs.load(id)).completedAt;
    };
    expect(await completedAt(END.nextBatch)).not.toBeNull();
    expect(await completedAt(END.nextBatch - 1)).toBeNull();
  });

  it('gives a job to one claimant, and its epoch rises with each claim', async () => {
    const id = await queue();
    expect(await jobs.claimNext('one')).toEqual({ id, epoch: 1 });
    expect(await jobs.claimNext('two')).toBeNull();
    await expire(id);
    expect(await jobs.claimNext('two')).toEqual({ id, epoch: 2 });
  });

  it('refuses whatever an older epoch still wants to write', async () => {
    const id = await queue();
    const old = await claimed();
    await expire(id);
    const current = await claimed();
    expect(await jobs.renewLease(old)).toBeNull();
    await expect(jobs.start(old, START, doNothing)).rejects.toMatchObject({ code: 'JOB_LOST' });
    expect(await jobs.fail(old, { code: 'X', message: '', action: '' })).toBe(false);
    await jobs.start(current, START, doNothing);
    await expect(jobs.finishSource(old, END)).rejects.toMatchObject({ code: 'JOB_LOST' });
    expect(await jobs.renewLease(current)).toBe('running');
  });

  it('sets no checkpoint back, whichever of two writes of a claim arrives last', async () => {
    const id = await queue();
    const claim = await claimed();
    await jobs.start(claim, START, doNothing);
    const behind = { ...END, nextBatch: 1, nextRecord: 10, byteOffset: 5 };
    await jobs.saveCheckpoint(claim, behind);
    await jobs.renewLease(claim, END);
    await jobs.saveCheckpoint(claim, behind);
    expect((await jobs.load(id)).checkpoint).toEqual(END);
    expect(await jobs.renewLease(claim, behind)).toBe('running');
    expect(await jobs.renewLease(claim)).toBe('running');
    expect((await jobs.load(id)).checkpoint).toEqual(END);
    await jobs.saveCheckpoint(claim, { ...END, nextBatch: 3 });
    expect((await jobs.load(id)).checkpoint).toEqual({ ...END, nextBatch: 3 });
  });

  it('sets running and makes staging together or not at all', async () => {
    const id = await queue();
    const claim = await claimed();
    const failing = jobs.start(claim, START, () => Promise.reject(new Error('no staging')));
    await expect(failing).rejects.toThrow('no staging');
    expect((await jobs.load(id)).state).toBe('queued');
    await jobs.start(claim, START, async (client) => {
      const { rows } = await client.query<{ n: number }>('SELECT 1 AS n WHERE $1', [true]);
      expect(rows).toEqual([{ n: 1 }]);
    });
    expect(await jobs.load(id)).toMatchObject({ state: 'running', head: START.head, cutting: START.cutting });
  });

  it('outlives the end of its connection between two statements of a transaction', async () => {
    const id = await queue();
    const claim = await claimed();
    const starting = jobs.start(claim, START, async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await database.query('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
      await setImmediate();
    });
    await expect(starting).rejects.toThrow();
    expect((await jobs.load(id)).state).toBe('queued');
  });

  it('claims an interrupted job again, unless its source was read to the end', async () => {
    const id = await queue();
    const claim = await claimed();
    await jobs.start(claim, START, doNothing);
    await expire(id);
    const again = await claimed();
    expect(again).toEqual({ id, epoch: 2 });
    await jobs.finishSource(again, END);
    expect(await jobs.claimNext('two')).toBeNull();
    expect(await jobs.load(id)).toMatchObject({
      totalBatches: 2,
      totalRecords: 20,
      totalBytes: 10,
      checkpoint: END,
      leaseUntil: null,
    });
  });

  it('publishes again only until the source was read to its end once more', async () => {
    const id = await queue();
    const claim = await claimed();
    await jobs.start(claim, START, doNothing);
    await jobs.finishSource(claim, END);
    const problem = { code: 'BATCHES_MISSING', message: '', action: '', firstMissingBatch: 1 };
    await database.query('UPDATE sluice.job SET problem = $2 WHERE id = $1', [id, problem]);
    await operator.resume(id);
    const again = await claimed();
    expect(await jobs.load(id)).toMatchObject({ republishFrom: 1, totalBatches: null, checkpoint: END });
    await jobs.finishSource(again, END);
    expect(await jobs.load(id)).toMatchObject({ republishFrom: null, totalBatches: 2 });
  });

  it('gives a job back while it is paused, to be claimed as soon as it is continued', async () => {
    const id = await queue();
    const claim = await claimed();
    await jobs.start(claim, START, doNothing);
    await operator.pause(id);
    await jobs.release(claim);
    expect(await jobs.claimNext('two')).toBeNull();
    await operator.continue(id);
    expect(await jobs.claimNext('two')).toEqual({ id, epoch: 2 });
  });

  it('keeps the owner of a cancelled job until that run, and no other, has released it', async () => {
    const id = await queue();
    const old = await claimed();
    await expire(id);
    const claim = await claimed();
    await jobs.start(claim, START, doNothing);
    await jobs.letGo(claim);
    expect(await operator.ownerOf(id)).toBe('one');
    await operator.cancel(id);
    await jobs.letGo(old);
    expect(await operator.ownerOf(id)).toBe('one');
    await jobs.letGo(claim);
    expect(await operator.ownerOf(id)).toBeNull();
  });

  it('does not resume a failed job whose published batches are unknown', async () => {
    const id = await queue();
    const claim = await claimed();
    await jobs.start(claim, START, doNothing);
    expect(await jobs.fail(claim, { code: 'SOURCE_CHANGED', message: '', action: '' }, false)).toBe(true);
    await expect(operator.resume(id)).rejects.toMatchObject({ code: 'JOB_RESUME_REFUSED' });
  });

  it('waits with cancelling for a load in flight (LD2), and nothing is claimed afterwards', async () => {
    const id = await queue();
    await jobs.start(await claimed(), START, doNothing);
    const loading = database.createQueryRunner();
    await loading.startTransaction();
    await loading.query('SELECT state FROM sluice.job WHERE id = $1 FOR KEY SHARE', [id]);
    let isCancelled = false;
    const cancelling = operator.cancel(id).then(() => {
      isCancelled = true;
    });
    await eventually(async () => {
      const waiting = await database.query<unknown[]>(`SELECT FROM ${OWN_LOCKS} WHERE NOT granted`);
      return waiting.length > 0 || isCancelled;
    }, 'the cancelling to meet the lock');
    expect(isCancelled).toBe(false);
    await loading.commitTransaction();
    await loading.release();
    await cancelling;
    expect(await jobs.claimNext('two')).toBeNull();
    await expect(operator.cancel(id)).rejects.toMatchObject({ code: 'JOB_TRANSITION_REFUSED' });
  });

  it('writes what the ingestor waits for into the row, and clears it', async () => {
    const id = await queue();
    const waits = jobs.waitsOf(await jobs.load(id), pino({ level: 'silent' }));
    waits.declare('SERVER_AWAY', 'Kafka does not answer');
    await waits.settled();
    expect((await jobs.load(id)).wait).toMatchObject({ stage: 'ingest', code: 'SERVER_AWAY' });
    waits.clear();
    await waits.settled();
    expect((await jobs.load(id)).wait).toBeNull();
  });

  it('loads the row as its entity maps it', async () => {
    const id = await queue();
    const claim = await claimed();
    const own = { deep: [{ version: 7 }], text: 'ä' };
    await jobs.start(claim, { ...START, sourceIdentity: { ...START.sourceIdentity, own } }, doNothing);
    await jobs.finishSource(claim, END);
    await database.query(
      `UPDATE sluice.job SET limit_records = 7, republish_from = 1, judged_batches = '{[0,2)}', counted_batches = '{[0,1)}',
         source = source || '{"own": {"range": [0, null]}}' WHERE id = $1`,
      [id],
    );
    const entity = await database
      .getRepository(Job)
      .createQueryBuilder('job')
      .addSelect('job.secretUri')
      .where({ id })
      .getOneOrFail();
    const loaded = await jobs.load(id);
    expect(loaded).toEqual(Object.fromEntries(Object.entries(entity)));
    expect(loaded).toMatchObject({
      limitRecords: 7,
      sourceIdentity: { own },
      source: { own: { range: [0, null] } },
    });
    await expect(jobs.load('00000000-0000-7000-8000-000000000000')).rejects.toMatchObject({
      code: 'JOB_UNKNOWN',
    });
  });

  it('shows the address with its credentials to load() alone', async () => {
    const id = await queue();
    const shown = await database.getRepository('Job').findOneByOrFail({ id });
    expect(JSON.stringify(shown)).not.toContain('canary');
    expect((await jobs.load(id)).secretUri).toContain('canary');
  });
});
