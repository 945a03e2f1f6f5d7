import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import type { Dataset } from '#core/dataset/dataset.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { metricValues } from '#test/support/metric-values.js';
import { LoaderMetrics } from './loader.metrics.js';

const batch = (...bytes: number[]): CleanMessage =>
  ({ sections: bytes.map((length) => ({ text: Buffer.alloc(length) })) }) as unknown as CleanMessage;

describe('LoaderMetrics', () => {
  it('counts what ends, and what goes wrong with jobs, from 0 on', async () => {
    const registry = new Registry();
    new LoaderMetrics(
      registry,
      new DatasetRegistry([
        { name: 'shops', dataset: { name: 'shops' } as Dataset, folder: '', schema: 'public', tables: [] },
      ]),
    );
    for (const name of ['sluice_job_faults_total', 'sluice_balance_failures_total'] as const)
      expect(await metricValues(registry, name)).toEqual({ shops: 0 });
    expect(Object.values(await metricValues(registry, 'sluice_jobs_ended_total'))).toEqual([0, 0, 0]);
  });

  it('shows which groups of a delivery are loaded or wait, and what they hold, until it ends', async () => {
    const registry = new Registry();
    const metrics = new LoaderMetrics(registry, new DatasetRegistry([]));
    const shown = async (): Promise<unknown> => ({
      groups: await metricValues(registry, 'sluice_load_groups'),
      batches: (await metricValues(registry, 'sluice_in_flight_batches'))[''],
      bytes: (await metricValues(registry, 'sluice_in_flight_bytes'))[''],
    });
    const nothing = { groups: { waiting: 0, loading: 0 }, batches: 0, bytes: 0 };
    expect(await shown()).toEqual(nothing);
    const queue = metrics.queue(3);
    queue.loads({ batches: [batch(10, 5), batch(1)] });
    expect(await shown()).toEqual({ groups: { waiting: 2, loading: 1 }, batches: 2, bytes: 16 });
    queue.loads({ batches: [batch(7)] });
    expect(await shown()).toEqual({ groups: { waiting: 1, loading: 1 }, batches: 1, bytes: 7 });
    queue.ends();
    expect(await shown()).toEqual(nothing);
  });
});
