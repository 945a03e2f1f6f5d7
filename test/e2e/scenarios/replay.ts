/**
 * Replays in a whole system. A rule was wrong for a week and 14 jobs went through: the contract is fixed, its version raised, the
 * week replayed, and the table is that of a run that was right from the start, whatever happens to the ingestors meanwhile.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import type { ReplayRequest, ReplayView } from '#api/replays.js';
import { REPLAY_FAULT_POINTS, type FaultPoint } from '#common/faults/fault-point.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { withAdmin } from '#common/kafka/transport/topics-admin.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { armFaultPoint, disarmFaultPoints, faultPointHit } from '../../support/fault-points.js';
import { clientOf, jobEnd, lettersOf, runJob } from '../../support/run-job.js';
import type { DatasetFiles, System } from '../../support/system.js';
import { scenario } from './scenario.js';

const JOBS = 14;
/** Of these datasets the first one is right from the start. */
const RIGHT = 'meters-right';
const WEEK = 'meters-week';
const PART = 'meters-part';

/** Version 1 refuses MWh, and stores 0 as null. */
function datasetText(name: string, version: number): string {
  const [units, nulls] = version === 1 ? [`['kWh']`, `['', '0']`] : [`['kWh', 'MWh']`, `['']`];
  return `
    import { Column, Provenance, Table } from '#core/dataset/columns.js';
    import { defineDataset } from '#core/dataset/define-dataset.js';
    import { int32, int64, varchar } from '#core/dataset/kinds.js';
    import { OneOf } from '#core/dataset/rules.js';
    class Reading {}
    Column({ kind: int64(), required: { code: 'NO_METER' } })(Reading.prototype, 'meter');
    Column({ kind: int32() })(Reading.prototype, 'value');
    Column({ kind: varchar(5) })(Reading.prototype, 'unit');
    OneOf(${units}, { code: 'BAD_UNIT' })(Reading.prototype, 'unit');
    Provenance('line')(Reading.prototype, 'line');
    Table({ name: '${name.replace('-', '_')}', key: ['meter'], cleaning: { nullTokens: ${nulls} } })(Reading);
    export default defineDataset({ title: 'Meters', contract: Reading, contractVersion: ${version}, maxRefusedShare: 1 });`;
}

const FILES = Object.fromEntries([
  [`${RIGHT}/dataset.js`, datasetText(RIGHT, 2)],
  ...[WEEK, PART].map((name) => [`${name}/dataset.js`, datasetText(name, 1)]),
]) as DatasetFiles;

export const replay = scenario('replays', FILES, (running) => {
  let system: System;
  const random = new SeededRandom(20261129);
  const weekJobs: JobDetail[] = [];
  let partJob: JobDetail;
  let failedJob: JobDetail;

  beforeAll(async () => {
    system = running();
    const files = Array.from({ length: JOBS }, (_, at) => fileOf(`week-${at}.csv`, 40));
    for (const source of files) {
      const [job] = await Promise.all([
        load({ dataset: WEEK, source, mode: 'upsert' }),
        load({ dataset: RIGHT, source, mode: 'upsert' }),
      ]);
      weekJobs.push(job);
    }
    partJob = await load({ dataset: PART, source: fileOf('part.csv', 60), mode: 'upsert' });
    const source = fileOf('failed.csv', 200);
    failedJob = await runJob(system, { dataset: PART, source, mode: 'upsert', maxRefusedShare: 0.01 });
    await clientOf(system).discardJob(failedJob.id);
    for (const name of [WEEK, PART])
      writeFileSync(join(system.datasetFolder, name, 'dataset.js'), datasetText(name, 2));
    await Promise.all(
      system.services.map(async (service) => {
        await system.kill(service, 'SIGTERM');
        await system.restart(service);
      }),
    );
  });

  afterEach(async () => {
    disarmFaultPoints(system);
    for (const name of system.services) if (!system.isRunning(name)) await system.restart(name);
  });

  /** Readings of 60 meters, some of them several times. */
  function fileOf(name: string, rows: number): string {
    const path = join(system.folder, name);
    const lines = Array.from(
      { length: rows },
      () => `${random.below(60)},${random.below(4)},${random.pick(['kWh', 'MWh', 'kWh', 'Wh'])}`,
    );
    writeFileSync(path, ['meter,value,unit', ...lines, ''].join('\n'));
    return path;
  }

  async function load(request: JobRequest): Promise<JobDetail> {
    const job = await runJob(system, request);
    expect(job).toMatchObject({ state: 'succeeded', error: null });
    return job;
  }

  const tableOf = (name: string): Promise<unknown[]> =>
    query(system, `SELECT * FROM public.${name.replace('-', '_')} ORDER BY meter`);

  async function replay(request: ReplayRequest): Promise<ReplayView> {
    const { id } = await clientOf(system).startReplay(request);
    return endOf(id ?? '');
  }

  const endOf = (id: string): Promise<ReplayView> =>
    eventually(
      async () => {
        const view = await clientOf(system)
          .replay(id)
          .catch(() => null);
        return view !== null && view.state !== 'running' && view.finishedAt !== null && view;
      },
      `the end of replay ${id}`,
      120_000,
    );

  const week = (): ReplayRequest => ({ dataset: WEEK, from: weekJobs[0]?.createdAt ?? '' });

  it('after a week with a wrong rule: the table is that of a run that was right from the start', async () => {
    expect(await tableOf(WEEK)).not.toEqual(await tableOf(RIGHT));
    const client = clientOf(system);
    const records = JOBS * 40;
    const covers = { jobs: JOBS, batches: JOBS * 6, records };
    const deleted = { jobs: 0, batches: 0, records: 0, offsets: 0 };
    expect(await client.startReplay({ ...week(), dryRun: true })).toEqual({
      ...{ id: null, dataset: WEEK, covers, deleted, leftOut: [] },
    });
    const view = await replay({ ...week(), by: 'a test' });
    expect(view).toMatchObject({
      ...{ state: 'succeeded', covers, deleted, changed: true, by: 'a test', atOnce: 4, wait: null },
      jobs: { waiting: 0, active: 0, succeeded: JOBS, failed: 0, cancelled: 0 },
      counts: { read: records },
    });
    expect(await tableOf(WEEK)).toEqual(await tableOf(RIGHT));

    const { items } = await client.replayJobs(view.id, 100);
    expect(items.map(({ origin }) => origin)).toEqual(weekJobs.map(({ id }) => id));
    for (const { origin, job } of items) {
      const [before, after] = [await client.job(origin), await jobEnd(system, job ?? '')];
      expect([before.contractVersion, after.contractVersion]).toEqual([1, 2]);
      expect(after).toMatchObject({ originJob: origin, replay: view.id, mode: 'upsert', stream: null });
      expect(after.counts?.read).toBe(before.counts?.read);
      // What is refused still, is refused at the line that it has in the file.
      const lines = async (id: string): Promise<number[]> =>
        (await lettersOf(system, id)).filter(({ text }) => text.endsWith(',Wh')).map(({ line }) => line);
      expect(await lines(after.id)).toEqual(await lines(before.id));
    }
  });

  it('changes nothing a second time, and says so', async () => {
    const before = await tableOf(WEEK);
    const view = await replay({ dataset: WEEK, job: weekJobs.at(-1)?.id ?? '' });
    expect(view).toMatchObject({ state: 'succeeded', changed: false, covers: { jobs: 1 } });
    expect(await tableOf(WEEK)).toEqual(before);
    // Those of a replay are not replayed again with their origins.
    const { leftOut, covers } = await clientOf(system).startReplay({ ...week(), dryRun: true });
    expect([covers.jobs, leftOut.map(({ reason, jobs }) => [reason, jobs])]).toEqual([
      JOBS,
      [['replay', JOBS + 1]],
    ]);
  });

  it('of refused records alone loads those that are right now, and refuses the others at their place', async () => {
    const before = (await lettersOf(system, partJob.id)).length;
    expect(before).toBe(partJob.counts?.refused);
    const view = await replay({ dataset: PART, job: partJob.id, only: 'refused' });
    expect(view).toMatchObject({ state: 'succeeded', covers: { jobs: 1, records: before } });
    const { items } = await clientOf(system).replayJobs(view.id, 10);
    const again = await jobEnd(system, items[0]?.job ?? '');
    const old = await lettersOf(system, partJob.id);
    const still = old.filter(({ text }) => text.endsWith(',Wh'));
    expect(again.counts).toMatchObject({ read: before, refused: still.length });
    const letters = await lettersOf(system, again.id);
    expect(letters.map(({ text }) => text)).toEqual(still.map(({ text }) => text));
    // Each says which record and line it is of.
    expect(letters.map(({ message }) => message?.headers.map(({ value }) => value?.text))).toEqual(
      still.map(({ id, line }) => [id, String(line)]),
    );
    const [row] = await query<{ n: string }>(
      system,
      `SELECT count(*) AS n FROM public.meters_part WHERE unit = 'MWh'`,
    );
    expect(Number(row?.n)).toBeGreaterThan(0);
  });

  it('of what is missing loads a job that had failed, as a whole', async () => {
    expect(failedJob).toMatchObject({ state: 'failed', error: { code: 'JOB_REFUSED_SHARE' } });
    // Later jobs are of replays whose origin is older than the span.
    const span = { from: failedJob.createdAt, to: failedJob.finishedAt ?? '' };
    await expect(replay({ dataset: PART, ...span })).rejects.toMatchObject({ code: 'REPLAY_EMPTY' });
    const request: ReplayRequest = { dataset: PART, ...span, only: 'missing' };
    const client = clientOf(system);
    const { id, covers } = await client.startReplay(request);
    expect(covers).toMatchObject({ jobs: 1, records: 200 });
    // It has the limit that it had, is judged by it, and holds the replay until an operator has decided.
    const wait = await eventually(
      async () => (await client.replay(id ?? '')).wait,
      'the replay to wait for its job',
      120_000,
    );
    expect(wait).toMatchObject({ code: 'REPLAY_JOB_STANDS' });
    const job = await jobEnd(system, wait.job ?? '');
    expect(job).toMatchObject({ state: 'failed', counts: { read: 200 } });
    expect(job.counts?.refused).toBeLessThan(failedJob.counts?.refused ?? 0);
    await client.resumeJob(job.id, { maxRefusedShare: 1 });
    expect(await endOf(id ?? '')).toMatchObject({ state: 'succeeded', changed: true });
  });

  const POINTS: readonly FaultPoint[] = [
    ...REPLAY_FAULT_POINTS,
    'ingestor.published',
    'ingestor.before-totals',
    'finalizer.in-merge',
  ];

  it.each(POINTS)('%s: killed there; every job is replayed once, in its order', async (point) => {
    await query(system, 'TRUNCATE public.meters_week');
    const client = clientOf(system);
    const known = (await client.replays({}).next()).value as ReplayView | undefined;
    armFaultPoint(system, point, 'kill');
    // An answer is lost with the ingestor that is killed.
    const asked = client.startReplay(week()).catch(() => null);
    const name = await faultPointHit(system, point);
    await eventually(() => !system.isRunning(name), `${name} to be gone`);
    await asked;
    await system.restart(name);
    const id = await eventually(async () => {
      const newest = (await client.replays({}).next()).value as ReplayView;
      return newest.id !== known?.id && newest.id;
    }, 'the replay to be listed');
    const view = await endOf(id);
    expect(view).toMatchObject({ state: 'succeeded', jobs: { succeeded: JOBS } });
    const { items } = await client.replayJobs(id, 100);
    expect(items.map(({ origin }) => origin)).toEqual(weekJobs.map((job) => job.id));
    const made = await query(system, 'SELECT FROM sluice.job WHERE replay = $1', [id]);
    expect(made).toHaveLength(JOBS);
    expect(await tableOf(WEEK)).toEqual(await tableOf(RIGHT));
  });

  it('is cancelled: no job of it begins any more', async () => {
    const { id } = await clientOf(system).startReplay({ ...week(), atOnce: 1 });
    const cancelled = await clientOf(system).cancelReplay(id ?? '');
    expect(cancelled.state).toBe('cancelled');
    const view = await endOf(id ?? '');
    expect(view).toMatchObject({ state: 'cancelled', jobs: { active: 0 } });
    expect(view.jobs.waiting).toBeGreaterThan(0);
    await expect(clientOf(system).cancelReplay(id ?? '')).rejects.toMatchObject({
      code: 'REPLAY_TRANSITION_REFUSED',
    });
  });

  it.each<[string, string, () => Partial<ReplayRequest>]>([
    ['an unknown dataset', 'REQUEST_INVALID', () => ({ dataset: 'no-such' })],
    ['an unknown job', 'JOB_UNKNOWN', () => ({ job: '01998f3e-7c4a-7000-8000-3f5b8e2d9a10' })],
    ['a job of another dataset', 'JOB_UNKNOWN', () => ({ job: partJob.id })],
    [
      'a reversed span',
      'REQUEST_INVALID',
      () => ({ from: '2026-02-02T00:00:00Z', to: '2026-02-01T00:00:00Z' }),
    ],
    ['a span without a beginning', 'REQUEST_INVALID', () => ({ to: '2026-02-01T00:00:00Z' })],
    ['a day that is not', 'REQUEST_INVALID', () => ({ from: '2026-02-30T00:00:00Z' })],
    [
      'a span without jobs',
      'REPLAY_EMPTY',
      () => ({ from: '2020-01-01T00:00:00Z', to: '2020-01-02T00:00:00Z' }),
    ],
    ['nothing that says what', 'REQUEST_INVALID', () => ({})],
    ['two that say what', 'REQUEST_INVALID', () => ({ job: partJob.id, from: '2020-01-01T00:00:00Z' })],
    ['reversed offsets', 'REQUEST_INVALID', () => ({ offsets: [{ partition: 0, from: 3, to: 2 }] })],
    ['offsets beyond the end', 'REQUEST_INVALID', () => ({ offsets: [{ partition: 0, from: 0, to: 1e9 }] })],
    ['a partition that is not', 'REQUEST_INVALID', () => ({ offsets: [{ partition: 77, from: 0, to: 1 }] })],
    ['another mode', 'REQUEST_INVALID', () => ({ job: weekJobs[0]?.id ?? '', mode: 'swap' as never })],
    [
      'replace with refused records alone',
      'REQUEST_INVALID',
      () => ({ job: weekJobs[0]?.id ?? '', mode: 'replace', only: 'refused' }),
    ],
  ])('%s is refused: %s', async (_what, code, request) => {
    const asked = clientOf(system).startReplay({ dataset: WEEK, ...request() });
    await expect(asked).rejects.toMatchObject({ code });
  });

  it('says what retention has deleted, replays the rest, and leaves out what cannot be replayed', async () => {
    const client = clientOf(system);
    const topic = `sluice.${PART}.raw`;
    const kafka = createKafka({
      ...{ brokers: system.brokers, clientId: 'test', logger: pino({ level: 'silent' }) },
    });
    await withAdmin(kafka, async (admin) => {
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] });
    });
    // 60 records are nine batches over three partitions.
    const report = await client.startReplay({ dataset: PART, job: partJob.id, dryRun: true });
    expect(report).toMatchObject({
      covers: { jobs: 1, batches: 7, records: 46 },
      deleted: { jobs: 1, batches: 2, records: 14, offsets: 0 },
    });
    const view = await replay({ dataset: PART, job: partJob.id });
    expect(view).toMatchObject({ state: 'succeeded', counts: { read: 46 }, deleted: { batches: 2 } });
    await expect(
      client.startReplay({ dataset: PART, job: partJob.id, mode: 'replace' }),
    ).rejects.toMatchObject({ code: 'REPLAY_EXPIRED' });
    const offsets = [{ partition: 0, from: 0, to: 3 }];
    expect(await client.startReplay({ dataset: PART, offsets, dryRun: true })).toMatchObject({
      covers: { jobs: 1, batches: 1, records: 7 },
      deleted: { offsets: 2 },
    });
    const other = await runJob(system, { dataset: PART, source: fileOf('dry.csv', 10), dryRun: true });
    await expect(client.startReplay({ dataset: PART, job: other.id })).rejects.toMatchObject({
      code: 'REPLAY_REFUSED',
    });
    // Its origin is covered in part, or was not successful: so a job of a replay is taken itself.
    const rest = await client.startReplay({ dataset: PART, from: partJob.createdAt, dryRun: true });
    expect(rest.covers.jobs).toBeGreaterThan(1);
    const reasons = rest.leftOut.map(({ reason }) => reason);
    expect(reasons).toEqual(expect.arrayContaining(['unsuccessful', 'dry-run']));
    expect(reasons).not.toContain('replay');
    await withAdmin(kafka, async (admin) => {
      const ends = await admin.fetchTopicOffsets(topic);
      const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }));
      await admin.deleteTopicRecords({ topic, partitions });
    });
    await expect(client.startReplay({ dataset: PART, job: partJob.id })).rejects.toMatchObject({
      code: 'REPLAY_EXPIRED',
    });
  });
});
