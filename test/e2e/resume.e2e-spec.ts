/**
 * Jobs that are interrupted, fail, are paused or cancelled in the middle, on a whole system: what continues comes to the
 * end of an uninterrupted run, as the oracle says it, and what does not leaves the tables as they were.
 */
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Admin } from 'kafkajs';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import type { Checkpoint } from '#core/job/job.entity.js';
import { topicOf } from '#core/message/topics.js';
import { eventually } from '../support/eventually.js';
import { expectReport, expectTables, query } from '../support/expect-tables.js';
import { armFaultPoint, faultPointHit } from '../support/fault-points.js';
import { generatedFile } from '../support/generated-file.js';
import { type HaltingSource, startHaltingSource } from '../support/halting-source.js';
import { type Expectation, expectFile } from '../support/oracle.js';
import { clientOf, counter, jobEnd, leaveStaleConnections, runJob } from '../support/run-job.js';
import { type System, startSystem } from '../support/system.js';

const DATASET = 'tax-registration';

describe('a job that is interrupted', () => {
  let system: System;
  let admin: Admin;
  let file: { path: string; bytes: Buffer };
  let expected: Expectation;
  /** What the tables hold when a test begins that must not change them. */
  let other: { path: string; bytes: Buffer };
  const sources: HaltingSource[] = [];

  beforeAll(async () => {
    system = await startSystem({
      env: {
        SLUICE_BATCH_BYTES: String(16 * 1024),
        SLUICE_SOURCE_IDLE_TIMEOUT_MS: '120000',
        SLUICE_SOURCE_RETRIES: '1',
        SLUICE_SOURCE_RETRY_FACTOR_MS: '10',
        SLUICE_LEASE_SECONDS: '3',
      },
    });
    admin = createKafka({
      ...{ brokers: system.brokers, clientId: 'test', logger: pino({ level: 'silent' }) },
    }).admin();
    await admin.connect();
    file = generatedFile(system, { rows: 3_000, seed: 21, defectShare: 0.02, repeatShare: 0.005 });
    other = generatedFile(system, { rows: 300, seed: 22, defectShare: 0, repeatShare: 0 });
    expected = expectFile(file.bytes);
  });

  afterAll(async () => {
    await admin.disconnect();
    await system.stop();
  });

  afterEach(async () => {
    for (const source of sources.splice(0)) await source.close();
  });

  async function haltingSource(content: Buffer, etag: string | null): Promise<HaltingSource> {
    const source = await startHaltingSource(content, etag);
    sources.push(source);
    return source;
  }

  const checkpointOf = async (id: string): Promise<Checkpoint | null> =>
    (
      await query<{ checkpoint: Checkpoint | null }>(
        system,
        'SELECT checkpoint FROM sluice.job WHERE id = $1',
        [id],
      )
    )[0]?.checkpoint ?? null;

  const loadedBatches = async (id: string): Promise<number> =>
    (
      await query<{ n: number }>(system, 'SELECT count(*)::int AS n FROM sluice.ledger WHERE job = $1', [id])
    )[0]?.n ?? 0;

  /** Messages that were ever published to the raw topic. */
  async function published(): Promise<number> {
    const offsets = await admin.fetchTopicOffsets(topicOf(DATASET, 'raw'));
    return offsets.reduce((sum, { high }) => sum + Number(high), 0);
  }

  /** Starts a job whose source halts, and waits until all that was published by then is loaded and in the checkpoint. */
  async function jobHalfWay(
    source: HaltingSource,
    mode: WriteMode = 'replace',
  ): Promise<{ id: string; batches: number }> {
    await leaveStaleConnections(system.ingestorUrl);
    const before = await published();
    const { id } = await clientOf(system).startJob({ dataset: DATASET, source: source.url, mode });
    const batches = await eventually(async () => {
      const { nextBatch = 0 } = (await checkpointOf(id)) ?? {};
      const isAllLoaded = nextBatch > 5 && (await loadedBatches(id)) === nextBatch;
      return isAllLoaded && (await published()) - before === nextBatch && nextBatch;
    }, 'half of the job to be loaded');
    return { id, batches };
  }

  async function expectOutcome(id: string): Promise<void> {
    await expectReport(system, await jobEnd(system, id), expected);
    await expectTables(system, expected);
  }

  async function loadOther(): Promise<void> {
    const job = await runJob(system, { dataset: DATASET, source: other.path, allowShrink: true });
    expect(job.state).toBe('succeeded');
  }

  it.each([
    ['has ranges: only the rest is asked for', false, '"v1"', true],
    ['has no ranges', false, null, false],
    ['is packed', true, '"v1"', false],
  ])('by kill -9 while its source %s', async (_what, isPacked, etag, readsOn) => {
    const source = await haltingSource(isPacked ? gzipSync(file.bytes) : file.bytes, etag);
    const { id } = await jobHalfWay(source);
    await system.kill('ingestor');
    const checkpoint = await checkpointOf(id);
    source.goOn();
    await system.restart('ingestor');
    await expectOutcome(id);
    const rest = `bytes=${checkpoint?.byteOffset ?? 0}-`;
    expect(source.ranges).toStrictEqual(readsOn ? [undefined, undefined, rest] : [undefined, undefined]);
    // The counter of the new process: what was there already is not published again.
    const { stages } = await clientOf(system).job(id);
    const total = stages.find(({ stage }) => stage === 'ingest')?.totalRecords ?? 0;
    const again = await counter(system, 'ingestor', 'sluice_published_records_total');
    expect(again).toBe(total - (checkpoint?.nextRecord ?? 0));
  });

  it('by kill -9 before the totals of a local file are written', async () => {
    armFaultPoint(system, 'ingestor.before-totals', 'kill');
    const { id } = await clientOf(system).startJob({ dataset: DATASET, source: file.path });
    expect(await faultPointHit(system, 'ingestor.before-totals')).toBe('ingestor');
    await system.restart('ingestor');
    await expectOutcome(id);
  });

  it('by SIGTERM: nothing is published twice', async () => {
    const source = await haltingSource(file.bytes, null);
    const before = await published();
    const { id } = await jobHalfWay(source);
    await system.kill('ingestor', 'SIGTERM');
    source.goOn();
    await system.restart('ingestor');
    await expectOutcome(id);
    expect((await published()) - before).toBe((await checkpointOf(id))?.nextBatch);
  });

  it('by an operator is paused: nothing is published or loaded until it is continued', async () => {
    const source = await haltingSource(file.bytes, null);
    const { id, batches } = await jobHalfWay(source);
    await expect(clientOf(system).pauseJob(id)).resolves.toMatchObject({ state: 'paused' });
    const before = await published();
    source.goOn();
    const leaseOf = async (): Promise<string | undefined> =>
      (
        await query<{ lease: string }>(
          system,
          'SELECT lease_until::text AS lease FROM sluice.job WHERE id = $1',
          [id],
        )
      )[0]?.lease;
    for (let looks = 0; looks < 2; looks++) {
      const lease = await leaseOf();
      await eventually(async () => (await leaseOf()) !== lease, 'the ingestor to keep its lease');
    }
    expect(await published()).toBe(before);
    expect(await loadedBatches(id)).toBe(batches);
    expect(await clientOf(system).job(id)).toMatchObject({ state: 'paused', pauseReason: 'operator' });
    await expect(clientOf(system).continueJob(id)).resolves.toMatchObject({ state: 'running' });
    await expectOutcome(id);
  });

  it('continues with its own source only: another one is refused as often as it is tried', async () => {
    await loadOther();
    const source = await haltingSource(file.bytes, '"v1"');
    const { id } = await jobHalfWay(source);
    await system.kill('ingestor');
    const otherDate = Buffer.from(file.bytes);
    const dateAt = otherDate.indexOf('\n') + 1;
    otherDate.write(otherDate.subarray(dateAt, dateAt + 2).toString() === '01' ? '02' : '01', dateAt);
    const otherByte = Buffer.from(file.bytes);
    otherByte.write('\u0001', otherByte.indexOf('\n', dateAt) + 3);
    const changes: [Parameters<HaltingSource['serves']>[0], RegExp][] = [
      [{ content: Buffer.concat([file.bytes, Buffer.from('\n')]) }, /size in bytes went from/],
      [{ content: file.bytes, etag: '"v2"' }, /its ETag went from "v1" to "v2"/],
      [{ content: otherDate, etag: null }, /went from \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d/],
      [{ content: otherByte, etag: null }, /its first \d+ bytes differ/],
    ];
    source.serves({ at: 'end' });
    for (const [index, [change, words]] of changes.entries()) {
      source.serves(change);
      if (index === 0) await system.restart('ingestor');
      else await clientOf(system).resumeJob(id, {});
      expect(await jobEnd(system, id)).toMatchObject({
        state: 'failed',
        resumable: true,
        error: { code: 'SOURCE_CHANGED', message: expect.stringMatching(words) },
      });
      await expectTables(system, expectFile(other.bytes));
    }
    source.serves({ content: file.bytes, etag: '"v1"' });
    await clientOf(system).resumeJob(id, {});
    await expectOutcome(id);
  });

  it('by a source that fails for good continues when it is resumed', async () => {
    await loadOther();
    const source = await haltingSource(file.bytes, '"v1"');
    source.serves({ at: 'cut' });
    const { id } = await clientOf(system).startJob({ dataset: DATASET, source: source.url });
    expect(await jobEnd(system, id)).toMatchObject({
      state: 'failed',
      resumable: true,
      error: { code: 'SOURCE_TRUNCATED' },
    });
    await expectTables(system, expectFile(other.bytes));
    source.serves({ at: 'end' });
    await expect(clientOf(system).resumeJob(undefined, {})).resolves.toMatchObject({ id, state: 'running' });
    await expectOutcome(id);
    expect(source.ranges.at(-1)).toMatch(/^bytes=\d+-$/);
  });

  it.each(['replace', 'append', 'upsert'] as const)(
    'is cancelled (%s): nothing is published or loaded afterwards, and nothing is left',
    async (mode) => {
      await loadOther();
      const source = await haltingSource(file.bytes, null);
      const { id, batches } = await jobHalfWay(source, mode);
      const records = (await checkpointOf(id))?.nextRecord;
      await expect(clientOf(system).cancelJob(id)).resolves.toEqual({
        id,
        dataset: DATASET,
        state: 'cancelled',
        discarded: { loadedBatches: batches, loadedRecords: records, pendingBatches: 0, pendingRecords: 0 },
      });
      const after = await published();
      source.goOn();
      await eventually(async () => {
        const staging = `SELECT FROM pg_class WHERE relnamespace = 'sluice_staging'::regnamespace`;
        return (await loadedBatches(id)) === 0 && (await query(system, staging)).length === 0;
      }, 'staging and ledger to be gone');
      expect(await published()).toBe(after);
      await expectTables(system, expectFile(other.bytes));
      expect(await jobEnd(system, id)).toMatchObject({
        state: 'cancelled',
        resumable: false,
        discarded: { loadedBatches: batches },
      });
      await expect(clientOf(system).resumeJob(id, {})).rejects.toMatchObject({ code: 'JOB_RESUME_REFUSED' });
    },
  );

  it('is not resumed when there is nothing to resume, or when it was given up', async () => {
    const client = clientOf(system);
    const fail = async (): Promise<string> => {
      const job = await runJob(system, { dataset: DATASET, source: `${system.folder}/absent.csv` });
      expect(job).toMatchObject({ state: 'failed', resumable: true, error: { code: 'SOURCE_NOT_FOUND' } });
      return job.id;
    };
    const older = await fail();
    await loadOther();
    await expect(client.resumeJob(older, {})).rejects.toMatchObject({ code: 'JOB_RESUME_REFUSED' });
    await expect(client.resumeJob(undefined, {})).rejects.toMatchObject({ code: 'JOB_NOTHING_TO_RESUME' });

    const given = await fail();
    await expect(client.discardJob(given)).resolves.toMatchObject({ state: 'failed' });
    await expect(client.resumeJob(given, {})).rejects.toMatchObject({ code: 'JOB_RESUME_REFUSED' });
    await expect(client.resumeJob(undefined, {})).rejects.toMatchObject({ code: 'JOB_NOTHING_TO_RESUME' });

    const { id: succeeded } = await runJob(system, { dataset: DATASET, source: other.path });
    await expect(client.resumeJob(succeeded, {})).rejects.toMatchObject({ code: 'JOB_NOTHING_TO_RESUME' });
    for (const [command, id, status] of [
      ['resume', succeeded, 409],
      ['pause', succeeded, 409],
      ['continue', succeeded, 409],
      ['discard', succeeded, 409],
      ['cancel', succeeded, 409],
      ['resume', '00000000-0000-7000-8000-000000000000', 404],
    ] as const) {
      const answer = await fetch(`${system.ingestorUrl}/jobs/${id}/${command}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      });
      expect([command, answer.status]).toEqual([command, status]);
    }
  });

  it('is checked for what its request may say', async () => {
    for (const [request, field] of [
      [{ existingKeys: 'fail', mode: 'replace' }, 'existingKeys'],
      [{ existingKeys: 'never', mode: 'append' }, 'existingKeys'],
      [{ breakerShare: 1.5 }, 'breakerShare'],
      [{ breakerCount: -1 }, 'breakerCount'],
    ] as const) {
      const answer = await fetch(`${system.ingestorUrl}/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ dataset: DATASET, source: 'http://127.0.0.1/x', ...request }),
      });
      expect(answer.status).toBe(422);
      expect(await answer.json()).toMatchObject({ errors: [{ field }] });
    }
    const { id } = await runJob(system, {
      dataset: DATASET,
      source: other.path,
      mode: 'append',
      existingKeys: 'supersede',
      breakerShare: 0.25,
      breakerCount: 7,
    });
    const [pinned] = await query(system, 'SELECT breaker, existing_keys FROM sluice.job WHERE id = $1', [id]);
    expect(pinned).toMatchObject({ breaker: { maxShare: 0.25, maxCount: 7 }, existing_keys: 'supersede' });
  });
});
