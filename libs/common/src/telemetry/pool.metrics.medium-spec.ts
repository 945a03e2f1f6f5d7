import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { metricValues } from '#test/support/metric-values.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { PoolMetrics } from './pool.metrics.js';
import { createPool } from '../postgres/pool.js';

describe('PoolMetrics', () => {
  let server: TestDatabase;

  beforeAll(async () => {
    server = await startTestDatabase();
  });
  afterAll(() => server.stop());

  it('shows who has a connection, who waits for one, and how often that was', async () => {
    const registry = new Registry();
    const pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 1 });
    const metrics = new PoolMetrics(registry);
    expect(await registry.metrics()).not.toContain('sluice_pool');
    metrics.watch('direct', pool);
    const shown = async (): Promise<unknown> => ({
      connections: await metricValues(registry, 'sluice_pool_connections'),
      waiting: await metricValues(registry, 'sluice_pool_waiting'),
      waits: await metricValues(registry, 'sluice_pool_waits_total'),
    });
    const first = await pool.connect();
    expect(await shown()).toEqual({
      connections: { 'busy direct': 1, 'direct idle': 0 },
      waiting: { direct: 0 },
      waits: { direct: 0 },
    });
    const [second, third] = [pool.query('SELECT 1'), pool.query('SELECT 1')];
    expect(await shown()).toMatchObject({ waiting: { direct: 2 }, waits: { direct: 2 } });
    first.release();
    await Promise.all([second, third]);
    await pool.query('SELECT 1');
    expect(await shown()).toEqual({
      connections: { 'busy direct': 0, 'direct idle': 1 },
      waiting: { direct: 0 },
      waits: { direct: 2 },
    });
    expect(await metricValues(registry, 'sluice_pool_limit_connections')).toEqual({ direct: 1 });
    await pool.end();
  });
});
