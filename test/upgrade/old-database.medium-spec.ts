import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import type { SluiceError } from '#common/errors/sluice-error.js';
import { createPool } from '#common/postgres/pool.js';
import { type RegisteredDataset, loadRegistry } from '#core/registry/registry.js';
import type { DeadLetterView } from '#api/dead-letters.js';
import { JOB_STATES, type JobState, PAUSE_REASONS } from '#api/job-words.js';
import type { BatchView, JobDetail } from '#api/jobs.js';
import type { Page } from '#api/pages.js';
import type { ParkedMessageView } from '#api/parked-messages.js';
import { ownPartOf } from '#core/job/job.entity.js';
import { JobRepository } from '#core/job/job.repository.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { migrate } from '#core/schema/migrate.js';
import { eventually } from '#test/support/eventually.js';
import { SweepHarness, finalizeJob, takeOver } from '#test/support/finalizing.js';
import { describeSchemas, restoreOldDatabase } from '#test/support/old-database.js';
import { type TestDatabase, copyTestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { StagedJobs } from '#test/support/staged-job.js';
import { startReadApi } from '../../apps/tracker/src/testing/read-api-app.js';

/** What the build `ab34a7e` left in its database, migrated and worked on by this one (test/fixtures/old-databases/README.md). */
const OLD = 'ab34a7e';

/** Every job of the dump, in the order of the ids. */
const JOBS = [
  ['succeeded-announced', 'succeeded'],
  ['succeeded-append', 'succeeded'],
  ['succeeded-upsert', 'succeeded'],
  ['failed-finalizing', 'failed'],
  ['succeeded-unannounced', 'succeeded'],
  ['succeeded-dry-run', 'succeeded'],
  ['finalizing', 'finalizing'],
  ['running-complete', 'running'],
  ['running-problem', 'running'],
  ['paused-breaker', 'paused'],
  ['paused-schema', 'paused'],
  ['paused-contract', 'paused'],
  ['paused-fault', 'paused'],
  ['paused-operator', 'paused'],
  ['paused-contract-reading', 'paused'],
  ['running-continued', 'running'],
  ['failed-queued', 'failed'],
  ['failed-reading', 'failed'],
  ['failed-not-resumable', 'failed'],
  ['failed-discarded', 'failed'],
  ['failed-loading', 'failed'],
  ['cancelled-queued', 'cancelled'],
  ['cancelled-running', 'cancelled'],
  ['cancelled-paused', 'cancelled'],
  ['running-interrupted', 'running'],
  ['running-waiting', 'running'],
  ['running-republishing', 'running'],
  ['queued-claimed', 'queued'],
  ['queued', 'queued'],
  ['queued-upsert', 'queued'],
] as const;
type JobName = (typeof JOBS)[number][0];

const ids = new Map(JOBS.map(([name], index) => [name, idOf(index + 1)]));
/** Staging tables of a job whose row is gone. */
const ORPHAN = idOf(JOBS.length + 1);

function idOf(number: number): string {
  return `01990000-0000-7000-8000-${String(number).padStart(12, '0')}`;
}
function id(name: JobName): string {
  return ids.get(name) ?? '';
}
function nameOf(job: string): string {
  return [...ids].find(([, each]) => each === job)?.[0] ?? job;
}

function jobsIn(...states: readonly JobState[]): JobName[] {
  return JOBS.filter(([, state]) => states.includes(state)).map(([name]) => name);
}

describe('a database of an earlier build', () => {
  let datasets: readonly RegisteredDataset[];
  let migrated: TestDatabase;
  let server: TestDatabase;
  let database: DataSource;
  let jobs: JobRepository;
  let operator: OperatorRepository;

  beforeAll(async () => {
    datasets = (await loadRegistry([])).entries();
    migrated = await restoreOldDatabase(OLD);
    await migrate(migrated.url, datasets);
  });
  afterAll(() => migrated.stop());
  beforeEach(async () => {
    server = await copyTestDatabase(migrated);
    database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
    jobs = new JobRepository(database);
    operator = new OperatorRepository(database, () => 2);
  });
  afterEach(async () => {
    await database.destroy();
    await server.stop();
  });

  /** With the shops' tables, which are in the dump. */
  function stagedJobs(): StagedJobs {
    const pool = (): ReturnType<typeof createPool> =>
      createPool({ url: server.url, applicationName: 'test', maxConnections: 4 });
    const [one, other] = [pool(), pool()];
    return StagedJobs.over(server.url, one, other);
  }

  it('has jobs of every state and of every reason to pause', () => {
    expect([...new Set(JOBS.map(([, state]) => state))].sort()).toEqual([...JOB_STATES].sort());
    const reasons = JOBS.flatMap(([name]) => /^paused-(\w+)/.exec(name)?.[1] ?? []);
    expect([...new Set(reasons)].sort()).toEqual([...PAUSE_REASONS].sort());
  });

  it('has the schema of a fresh one once it is migrated, and a second migration does nothing', async () => {
    const fresh = await startTestDatabase();
    try {
      await migrate(fresh.url, datasets);
      const wanted = await describeSchemas(fresh.url, ['sluice']);
      expect(wanted.length).toBeGreaterThan(100);
      expect(await describeSchemas(server.url, ['sluice'])).toEqual(wanted);
      const targets = (lines: string[]): string[] =>
        lines.filter((line) => /\bpublic\.(tax_registration|business_industry)/.test(line));
      const wantedTargets = targets(await describeSchemas(fresh.url, ['public']));
      expect(wantedTargets.length).toBeGreaterThan(20);
      expect(targets(await describeSchemas(server.url, ['public']))).toEqual(wantedTargets);
    } finally {
      await fresh.stop();
    }
    expect(await migrate(server.url, datasets)).toEqual([]);
  });

  it('shows every job, batch, dead letter and parked message', async () => {
    const api = await startReadApi({ databaseUrl: server.url });
    const get = async <T>(path: string): Promise<T> => {
      const response = await fetch(api.url + path);
      expect([path, response.status]).toEqual([path, 200]);
      return (await response.json()) as T;
    };
    try {
      const listed = await get<Page<JobDetail>>('/jobs?limit=100');
      expect(listed.items.map((job) => [nameOf(job.id), job.state]).reverse()).toEqual(JOBS);
      expect(listed.items.filter(({ interrupted }) => interrupted).map((job) => nameOf(job.id))).toEqual([
        ...['running-republishing', 'running-waiting', 'running-interrupted'],
      ]);
      for (const [name] of JOBS) {
        const detail = await get<JobDetail>(`/jobs/${id(name)}`);
        expect((await jobs.load(id(name))).dataset).toBe(detail.dataset);
      }
      expect(await get<JobDetail>(`/jobs/${id('paused-breaker')}`)).toMatchObject({
        pauseReason: 'breaker',
        pauseDetail: { code: 'JOB_BREAKER', records: 2, refused: 1, reasons: [{ code: 'BAD', count: 1 }] },
      });
      expect(await get<JobDetail>(`/jobs/${id('running-problem')}`)).toMatchObject({
        problem: { code: 'BATCHES_MISSING', firstMissingBatch: 1 },
      });
      expect(await get<JobDetail>(`/jobs/${id('running-complete')}`)).toMatchObject({
        wait: { stage: 'validate', code: 'STAGE_BEHIND' },
      });
      expect(await get<JobDetail>(`/jobs/${id('succeeded-unannounced')}`)).toMatchObject({
        counts: { read: 3, loaded: 2, refusedAtLoad: 1 },
      });
      expect(await get<JobDetail>(`/jobs/${id('failed-reading')}`)).toMatchObject({
        counts: { read: 4, accepted: 3 },
        error: { code: 'SOURCE_UNAVAILABLE' },
      });
      const batches = await get<Page<BatchView>>(`/jobs/${id('running-interrupted')}/batches`);
      expect(batches.items.map(({ batch, accepted }) => [batch, accepted])).toEqual([
        [0, 1],
        [1, null],
        [2, null],
      ]);
      const letters = await get<Page<DeadLetterView>>('/dead-letters?limit=100');
      expect(letters.items.map(({ job, record }) => [nameOf(job), record])).toEqual([
        ['running-interrupted', 1],
        ['failed-reading', 1],
        ['succeeded-unannounced', 1],
        ['succeeded-announced', 2],
      ]);
      for (const { job, record } of letters.items) await get(`/dead-letters/${job}/${record}`);
      const parked = await get<Page<ParkedMessageView>>('/parked-messages');
      expect(parked.items.map(({ offset, state, note }) => [offset, state, note])).toEqual([
        ['9007199254740993', 'skipped', 'not ours'],
        ['9', 'retried', 'published again'],
        ['7', 'open', null],
      ]);
    } finally {
      await api.stop();
    }
  });

  it('lets an ingestor claim every job that is queued or was interrupted, and no other', async () => {
    const claimed: string[] = [];
    for (let claim = await jobs.claimNext('new'); claim !== null; claim = await jobs.claimNext('new')) {
      claimed.push(nameOf(claim.id));
      expect(await jobs.renewLease(claim)).toMatch(/^(queued|running)$/);
    }
    expect(claimed).toEqual([
      ...['running-interrupted', 'running-waiting', 'running-republishing'],
      ...['queued-claimed', 'queued', 'queued-upsert'],
    ]);
    const { checkpoint, head, cutting } = await jobs.load(id('running-interrupted'));
    expect(checkpoint).toMatchObject({ nextBatch: 3, byteOffset: 110, crc32cSum: 3000 });
    expect(head).toMatchObject({ columns: ['no', 'name'], dataStart: 50 });
    expect(cutting).toMatchObject({ lineEnd: 'lf', partitions: 3 });
    const queued = await jobs.load(id('queued'));
    expect(ownPartOf(queued.source)).toEqual({ trustedCaller: true });
    expect(queued).toMatchObject({
      ...{ mode: 'append', dryRun: true, limitRecords: 10, existingKeys: 'fail', maxShrinkShare: null },
      ...{ secretUri: '/data/a.csv', source: { kind: 'file', display: '/data/a.csv' } },
    });
  });

  it('lets an operator continue every paused job', async () => {
    const states: Partial<Record<JobName, string>> = {
      'paused-breaker': 'running',
      'paused-schema': 'running',
      'paused-contract': 'queued',
      'paused-fault': 'running',
      'paused-operator': 'running',
      'paused-contract-reading': 'queued',
    };
    expect(Object.keys(states)).toEqual(jobsIn('paused'));
    for (const name of jobsIn('paused')) {
      const state = states[name];
      expect([name, await operator.continue(id(name))]).toMatchObject([name, { state }]);
      const job = await jobs.load(id(name));
      expect([name, job]).toMatchObject([name, { state, pauseReason: null, pauseDetail: null }]);
      if (state === 'queued') expect(job).toMatchObject({ contractVersion: 2, checkpoint: null });
      if (name === 'paused-breaker') expect(job.judgedBatches).toBe('{[0,1)}');
    }
  });

  it('lets an operator cancel every active job', async () => {
    for (const name of jobsIn('queued', 'running', 'paused', 'finalizing')) {
      expect([name, await operator.cancel(id(name))]).toMatchObject([name, { state: 'cancelled' }]);
      expect(await jobs.load(id(name))).toMatchObject({ state: 'cancelled', secretUri: '' });
    }
  });

  it('answers to resuming each as before', async () => {
    const outcomes: readonly (readonly [JobName, outcome: string])[] = [
      ['failed-queued', 'queued'],
      ['failed-reading', 'queued'],
      ['failed-loading', 'queued'],
      ['failed-not-resumable', 'JOB_RESUME_REFUSED'],
      ['failed-discarded', 'JOB_RESUME_REFUSED'],
      ['failed-finalizing', 'JOB_RESUME_REFUSED'],
      ['cancelled-running', 'JOB_RESUME_REFUSED'],
      ['succeeded-upsert', 'JOB_NOTHING_TO_RESUME'],
      ['running-problem', 'running'],
      ['running-interrupted', 'running'],
    ];
    for (const [name, outcome] of outcomes) {
      const answer = await operator.resume(id(name)).then(
        ({ state }) => state,
        (error: unknown) => (error as SluiceError).code,
      );
      expect([name, answer]).toEqual([name, outcome]);
    }
  });

  it('resumes what was read before where it stopped, as long as the contract has the same version', async () => {
    operator = new OperatorRepository(database, () => 1);
    expect(await operator.resume(id('failed-reading'))).toMatchObject({ state: 'running' });
    expect((await jobs.load(id('failed-reading'))).checkpoint).toMatchObject({ nextBatch: 3 });
  });

  it('knows what is newer than a failed job, and runs merges side by side', async () => {
    for (const name of jobsIn('failed')) {
      const { firstFailedAt, createdAt } = await jobs.load(id(name));
      expect([name, firstFailedAt]).toEqual([name, createdAt]);
    }
    const queued = await jobs.load(id('queued-upsert'));
    const { dataset, mode, dryRun, limitRecords, options, maxRefusedShare, maxShrinkShare } = queued;
    const source = { ...queued.source, display: '/data/another.csv' };
    const merge = {
      ...{ id: uuidv7(), dataset, mode, source, secretUri: '/data/another.csv', dryRun, limitRecords },
      ...{ options, maxRefusedShare, maxShrinkShare, contractVersion: 1 },
    };
    await jobs.create(merge);
    await expect(jobs.create({ ...merge, id: uuidv7() })).rejects.toMatchObject({
      code: 'JOB_ACTIVE',
      place: { job: merge.id, dataset },
    });
  });

  it('lets a loader finish the job that another has begun to finalize', async () => {
    const shops = stagedJobs();
    try {
      expect(await shops.shops()).toEqual(['1 One', '5 Five']);
      await finalizeJob(shops, { job: await takeOver(shops) });
      expect(await shops.end(id('finalizing'))).toMatchObject({
        state: 'succeeded',
        counts: { read: 3, loaded: 2, refusedAtValidate: 1 },
      });
      expect(await shops.shops()).toEqual(['1 New tea', '6 A']);
    } finally {
      await shops.stop();
    }
  });

  it('lets the loaders announce what was left to announce, and drop what was left in staging', async () => {
    const shops = stagedJobs();
    const sweeps = new SweepHarness(shops);
    const staged = async (): Promise<string[]> => [
      ...new Set((await shops.stagingTables()).map((name) => name.slice(0, 32))),
    ];
    const hex = (job: string): string => job.replaceAll('-', '');
    const dropped = [
      ...(['failed-not-resumable', 'failed-discarded', 'failed-finalizing'] as const).map(id),
      ...(['cancelled-running', 'cancelled-paused'] as const).map(id),
      ORPHAN,
    ].map(hex);
    const kept = (['running-interrupted', 'paused-breaker', 'paused-contract-reading'] as const)
      .map(id)
      .map(hex);
    try {
      expect(await staged()).toEqual(expect.arrayContaining([...dropped, ...kept]));
      sweeps.sweep();
      await eventually(async () => {
        const { rows } = await shops.pool.query('SELECT FROM sluice.job WHERE NOT announced');
        const left = await staged();
        return rows.length === 0 && !dropped.some((job) => left.includes(job));
      }, 'everything announced and dropped');
      expect(await staged()).toEqual(expect.arrayContaining(kept));
      expect(sweeps.announced).toContain('refusals');
    } finally {
      await sweeps.stop();
      await shops.stop();
    }
  });
});
