import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { controlDatabase } from '../schema/control-database.js';
import { stagingTable } from '../staging/staging-names.js';
import { JobRepository } from './job.repository.js';
import { OperatorRepository } from './operator.repository.js';

const OF_THE_ATTEMPT = ['ledger', 'dead_letter', 'job_batch', 'job_stage'];

describe('a job that begins again, on real PostgreSQL', () => {
  let server: TestDatabase;
  let database: DataSource;
  let jobs: JobRepository;
  let operator: OperatorRepository;
  let id: string;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
    jobs = new JobRepository(database);
    operator = new OperatorRepository(database, (dataset) => (dataset === 'things' ? 2 : null));
  });

  afterAll(async () => {
    await database.destroy();
    await server.stop();
  });

  /** Begun under version 1 in epoch 4, with staging, a loaded batch and what the tracker has folded of it. */
  beforeEach(async () => {
    await database.query(
      'TRUNCATE sluice.job, sluice.dead_letter, sluice.job_batch, sluice.job_stage CASCADE',
    );
    id = uuidv7();
    await database.query(
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
         contract_version, epoch, owner, lease_until, cutting, head, checkpoint, total_batches, started_at)
       VALUES ($1, 'things', 'replace', 'running', '{}', 'secret', false, 0.05, '{}', 1, 4, 'one',
         now() + interval '1 hour', '{}', '{}', '{"nextBatch":1}', 1, now())`,
      [id],
    );
    await database.query(`CREATE TABLE sluice_staging."${stagingTable('thing', id)}" (a text)`);
    await database.query(
      `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c, accepted,
         refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset)
       VALUES ($1, 0, 0, 2, 2, 0, 10, 1, 2, 0, 0, 0, '{}', 'sluice.things.raw', 0, 0)`,
      [id],
    );
    await database.query(
      `INSERT INTO sluice.dead_letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes, findings,
         attempt, columns_id, bytes) VALUES ($1, 0, 'things', 0, 1, 0, 1, 'validate', '{}', '[]', 0, $1, '')`,
      [id],
    );
    await database.query(
      `INSERT INTO sluice.job_batch (job, batch, stage, records, bytes, accepted, refused, skipped, warnings, at)
       VALUES ($1, 0, 'validate', 2, 10, 2, 0, 0, 0, now())`,
      [id],
    );
    await database.query(
      `INSERT INTO sluice.job_stage (job, stage, batches, records, bytes, accepted, refused, skipped, warnings,
         dead_letters, findings) VALUES ($1, 'validate', 1, 2, 10, 2, 0, 0, 0, 0, '{}')`,
      [id],
    );
  });

  const set = (what: string): Promise<unknown> =>
    database.query(`UPDATE sluice.job SET ${what} WHERE id = $1`, [id]);

  async function rowsOfTheAttempt(): Promise<number> {
    let rows = 0;
    for (const table of OF_THE_ATTEMPT)
      rows += (await database.query<unknown[]>(`SELECT FROM sluice.${table} WHERE job = $1`, [id])).length;
    const [staging] = await database.query<{ staged: number }[]>(
      `SELECT count(*)::integer AS staged FROM pg_class WHERE relname = $1`,
      [stagingTable('thing', id)],
    );
    return rows + (staging?.staged ?? 0);
  }

  async function expectToHaveBegunAgain(): Promise<void> {
    expect(await rowsOfTheAttempt()).toBe(0);
    expect(await jobs.load(id)).toMatchObject({
      ...{ state: 'queued', pauseReason: null, pauseDetail: null, error: null, contractVersion: 2 },
      ...{ epoch: 5, firstEpoch: 5, cutting: null, head: null, checkpoint: null, totalBatches: null },
      ...{ startedAt: null, finishedAt: null, secretUri: 'secret' },
    });
    expect(await jobs.renewLease({ id, epoch: 4 })).toBeNull();
    expect(await jobs.claimNext('two')).toEqual({ id, epoch: 6 });
  }

  it('does so when it was paused for its contract and is continued, and its former holder has lost it', async () => {
    await set(`state = 'paused', pause_reason = 'contract'`);
    expect(await operator.continue(id)).toEqual({ id, dataset: 'things', state: 'queued' });
    await expectToHaveBegunAgain();
  });

  it.each([
    ['of another version of the contract', 'SOURCE_TRUNCATED', 1],
    ['because code of the dataset threw, fixed under the same version', 'DATASET_CODE_FAILED', 2],
    ['because a batch came with another content', 'BATCH_DIFFERS', 2],
  ])('does so when it had failed, is resumed and was %s', async (_, code, version) => {
    await set(
      `state = 'failed', finished_at = now(), contract_version = ${version}, error = '{"code":"${code}"}'`,
    );
    expect(await operator.resume(id)).toEqual({ id, dataset: 'things', state: 'queued' });
    await expectToHaveBegunAgain();
  });

  it('resumes from what it has after any other pause or failure', async () => {
    await set(`state = 'paused', pause_reason = 'operator'`);
    expect(await operator.continue(id)).toMatchObject({ state: 'running' });
    await set(
      `state = 'failed', finished_at = now(), contract_version = 2, error = '{"code":"SOURCE_TRUNCATED"}'`,
    );
    expect(await operator.resume(id)).toMatchObject({ state: 'running' });
    expect(await rowsOfTheAttempt()).toBe(OF_THE_ATTEMPT.length + 1);
  });

  it('stays as it is when this process does not know its dataset', async () => {
    await set(`state = 'paused', pause_reason = 'contract', dataset = 'others'`);
    await expect(operator.continue(id)).rejects.toMatchObject({ code: 'DATASET_UNKNOWN' });
    expect(await rowsOfTheAttempt()).toBe(OF_THE_ATTEMPT.length + 1);
  });

  it('stays failed when another job holds its dataset', async () => {
    await set(`state = 'failed', finished_at = now(), error = '{"code":"BATCH_DIFFERS"}'`);
    await database.query(
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
         contract_version) VALUES ($1, 'things', 'replace', 'running', '{}', '', false, 0.05, '{}', 1)`,
      [uuidv7()],
    );
    await expect(operator.resume(id)).rejects.toMatchObject({ code: 'JOB_ACTIVE' });
    expect(await rowsOfTheAttempt()).toBe(OF_THE_ATTEMPT.length + 1);
  });
});
