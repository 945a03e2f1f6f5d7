import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { JOB_STATES, WAIT_CODES } from '#api/job-words.js';
import { Column, Table } from '#core/dataset/columns.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { JobRepository } from '#core/job/job.repository.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { metricValues } from '#test/support/metric-values.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { queueJob } from '#test/support/queued-job.js';
import { letter } from '../testing/read-api-rows.js';
import { foldsOver } from '../testing/folds.js';
import { createPool } from '#common/postgres/pool.js';
import { MetricLabels } from './metric-labels.js';
import { StateMetrics } from './state.metrics.js';

@Table({ name: 'shop', key: ['name'] })
class Shop {
  @Column({ source: 'name' })
  name!: string | null;
}
const SHOPS = new DatasetRegistry([
  {
    ...{ name: 'shops', dataset: { name: 'shops', contract: Shop } as unknown as Dataset },
    ...{ folder: '', schema: 'public', tables: ['shop'] },
  },
]);
const HOUR_MS = 3_600_000;

/** SM1 to SM3 are the invariants of state.metrics.ts. */
describe('StateMetrics', () => {
  let server: TestDatabase;
  let database: DataSource;
  let jobs: JobRepository;
  let registry: Registry;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    database = await controlDatabase({ url: server.url, applicationName: 'metrics test' }).initialize();
    jobs = new JobRepository(database);
  });
  afterAll(async () => {
    await database.destroy();
    await server.stop();
  });
  beforeEach(async () => {
    await database.query('TRUNCATE sluice.job, sluice.dead_letter, sluice.dead_letter_group CASCADE');
    registry = new Registry();
    new StateMetrics(registry, database, pino({ level: 'silent' }), new MetricLabels(SHOPS), SHOPS);
  });

  const values = (name: string): Promise<Record<string, number>> => metricValues(registry, name);

  const jobIn = async (state: string, changes = ''): Promise<string> => {
    // As of a dataset of its own first: two that replace one table cannot be active.
    const id = await queueJob(jobs, uuidv7());
    await database.query(`UPDATE sluice.job SET dataset = 'shops', state = $2${changes} WHERE id = $1`, [
      id,
      state,
    ]);
    return id;
  };

  it('SM3: has each state of a dataset, also without a job', async () => {
    expect(await values('sluice_jobs')).toEqual(
      Object.fromEntries(JOB_STATES.map((state) => [[state, 'shops'].sort().join(' '), 0])),
    );
    expect(await values('sluice_open_dead_letters')).toEqual({ shops: 0 });
    expect(await values('sluice_oldest_waiting_job_seconds')).toEqual({ shops: 0 });
    const none = Object.fromEntries(Object.keys(WAIT_CODES).map((code) => [code, 0]));
    expect(await values('sluice_waiting_jobs')).toEqual(none);
    expect(await values('sluice_oldest_open_dead_letter_seconds')).toEqual({ '': 0 });
    expect(await values('sluice_last_success_timestamp_seconds')).toEqual({});
  });

  it('reports jobs by state, the newest success, and pauses by reason', async () => {
    await jobIn('failed', `, finished_at = now()`);
    await jobIn('succeeded', `, finished_at = '2026-01-02T03:04:05Z'`);
    await jobIn('succeeded', `, finished_at = '2026-01-01T00:00:00Z'`);
    await jobIn('paused', `, pause_reason = 'breaker'`);
    expect(await values('sluice_jobs')).toMatchObject({
      ...{ 'failed shops': 1, 'shops succeeded': 2, 'paused shops': 1, 'running shops': 0 },
    });
    expect(await values('sluice_paused_jobs')).toEqual({ breaker: 1 });
    expect(await values('sluice_last_success_timestamp_seconds')).toEqual({
      shops: Date.parse('2026-01-02T03:04:05Z') / 1000,
    });
  });

  it('reports what jobs wait for, and the age of the oldest wait; an old one of another state is none', async () => {
    const wait = (stage: string, code: string, hours: number): string =>
      `, wait = jsonb_build_object('stage', '${stage}', 'code', '${code}', 'message', '', 'since', now() - interval '${hours} hours')`;
    await jobIn('queued', `, created_at = now() - interval '1 hour'`);
    await jobIn('running', wait('load', 'SERVER_AWAY', 3));
    await jobIn('finalizing', wait('finalize', 'SERVER_AWAY', 2));
    await jobIn('failed', `, finished_at = now()${wait('load', 'STAGE_BEHIND', 20)}`);
    expect(await values('sluice_waiting_jobs')).toMatchObject({ SERVER_AWAY: 2, STAGE_BEHIND: 0 });
    const { shops = 0 } = await values('sluice_oldest_waiting_job_seconds');
    expect(Math.round(shops / 3_600)).toBe(3);
  });

  it('reports open dead letters, and the age of the oldest', async () => {
    const pool = createPool({ url: server.url, applicationName: 'metrics test', maxConnections: 2 });
    try {
      const old = uuidv7({ msecs: Date.now() - HOUR_MS });
      await foldsOver(pool).indexDeadLetters(
        [old, uuidv7()].map((job) => letter(job, 1, { dataset: 'shops', bytes: Buffer.from('x') })),
      );
    } finally {
      await pool.end();
    }
    expect(await values('sluice_open_dead_letters')).toEqual({ shops: 2 });
    const { '': age } = await values('sluice_oldest_open_dead_letter_seconds');
    expect(age).toBeGreaterThanOrEqual(HOUR_MS / 1000);
    expect(age).toBeLessThan((2 * HOUR_MS) / 1000);
  });

  it('SM1: leaves its series out while the database cannot be asked, and no others', async () => {
    await database.query('ALTER TABLE sluice.job RENAME TO job_away');
    try {
      expect(await values('sluice_jobs')).toEqual({});
      expect(await values('sluice_parked_messages')).toEqual({});
      expect(await registry.metrics()).toContain('sluice_parked_messages');
    } finally {
      await database.query('ALTER TABLE sluice.job_away RENAME TO job');
    }
  });

  it('SM2: asks the database once for many scrapes', async () => {
    await jobIn('failed', `, finished_at = now()`);
    await Promise.all([registry.metrics(), registry.metrics()]);
    await jobIn('failed', `, finished_at = now()`);
    expect(await values('sluice_jobs')).toMatchObject({ 'failed shops': 1 });
  });
});
