/** The system that `npm run bench` measures: what it reports of a job, and what a new one with other settings is. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { BenchSystem } from '../../bench/system/bench-system.js';
import { RunFolder } from '../support/run-folder.js';
import { fileOf, row, rows } from '../support/small-file.js';

const LONGEST_MS = 300_000;
const ROWS = 300;
const NO_SERVICES = {
  ...{ SLUICE_INGESTORS: '0', SLUICE_VALIDATORS: '0' },
  ...{ SLUICE_LOADERS: '0', SLUICE_TRACKERS: '0' },
};

describe('a system to be measured', () => {
  let folder: RunFolder;
  let system: BenchSystem;
  let file: string;

  beforeAll(() => {
    folder = new RunFolder('bench-system');
    file = join(folder.path, 'some.csv');
    writeFileSync(file, fileOf(...rows(ROWS), row(7)));
    system = new BenchSystem(folder, () => undefined);
  });

  afterAll(async () => {
    await system.remove();
    await folder.remove();
  }, LONGEST_MS);

  it(
    'begins again with other settings, at other ports, with empty tables',
    async () => {
      // Only what a new one is compared with.
      await system.up(NO_SERVICES);
      const before = system.databaseUrl;
      await system.database.query('CREATE TABLE public.left_by_the_first ()');
      await system.restart({ SLUICE_TOPIC_PARTITIONS: '2', SLUICE_VALIDATORS: '2' });
      expect(system.isChanged).toBe(true);
      expect(system.hasRunJobs).toBe(false);
      expect(system.databaseUrl).not.toBe(before);
      expect(system.processes.map(({ name }) => name)).toContain('validator-2');
      const { rows: left } = await system.database.query(
        `SELECT FROM pg_tables WHERE tablename = 'left_by_the_first'`,
      );
      expect(left).toEqual([]);
      const { rows: jobs } = await system.database.query('SELECT FROM sluice.job');
      expect(jobs).toEqual([]);
      const admin = new kafkajs.Kafka({ brokers: [...system.kafkaBrokers] }).admin();
      await admin.connect();
      const { topics } = await admin.fetchTopicMetadata({ topics: ['sluice.tax-registration.raw'] });
      await admin.disconnect();
      expect(topics[0]?.partitions).toHaveLength(2);
    },
    LONGEST_MS,
  );

  it('reports what came of a job, how long it took and what it cost', async () => {
    const startedAt = Date.now();
    const job = await system.run('tax-registration', file);
    expect(job.report).toMatchObject({ state: 'succeeded', counts: { read: ROWS + 1, loaded: ROWS } });
    expect(job.seconds).toBeGreaterThan(job.visibleSeconds);
    expect(job.seconds).toBeLessThan((Date.now() - startedAt) / 1000);
    const { createdAt, startedAt: begun, visibleAt, reportedAt } = job.times;
    expect([begun, visibleAt, reportedAt]).toEqual([begun, visibleAt, reportedAt].sort((a, b) => a - b));
    expect(createdAt).toBeGreaterThan(startedAt - 1000);
    // The history of a job is published at some moment behind its end.
    const topics = Object.keys(job.brokerBytes).filter((kind) => kind !== 'history');
    expect(topics.sort()).toEqual(['clean', 'dead', 'raw', 'status']);
    expect(system.hasRunJobs).toBe(true);
  });

  it('refuses to measure a job that fails', async () => {
    const broken = join(folder.path, 'broken.csv');
    writeFileSync(broken, 'something else\n');
    await expect(system.run('tax-registration', broken)).rejects.toThrow('ended otherwise');
  });

  it('reports what other work cost, none of it in the broker', async () => {
    const { result, seconds, brokerBytes, cpuSeconds } = await system.measure(async () => {
      const query = 'SELECT count(md5(n::text))::int AS count FROM generate_series(1, 200000) AS n';
      return (await system.database.query<{ count: number }>(query)).rows[0]?.count;
    });
    expect(result).toBe(200_000);
    expect(seconds).toBeGreaterThan(0.01);
    expect(Object.keys(brokerBytes).filter((kind) => kind !== 'history')).toEqual([]);
    if (process.platform === 'linux') expect(cpuSeconds['postgres']).toBeGreaterThan(0);
  });

  it(
    'leaves nothing behind',
    async () => {
      const pids = system.processes.map(({ pid }) => pid);
      await system.remove();
      expect(readdirSync(folder.path).sort()).toEqual(['broken.csv', 'some.csv']);
      if (process.platform === 'linux') expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    },
    LONGEST_MS,
  );
});
