import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import type { CleanMessage } from '#core/message/clean-message.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { metricValues } from '#test/support/metric-values.js';
import { LoaderMetrics } from './loader.metrics.js';

const batch = (...bytes: number[]): CleanMessage =>
  ({ sections: bytes.map((length) => ({ text: Buffer.alloc(length) })) }) as unknown as CleanMessage;

describe('LoaderMetrics', () => {
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
