import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { metricValues } from '#test/support/metric-values.js';
import { ConsumerMetrics } from './consumer.metrics.js';

describe('ConsumerMetrics', () => {
  const read = async (registry: Registry, name: string): Promise<string[]> => {
    const text = await registry.getSingleMetricAsString(name);
    return text.split('\n').filter((line) => line.startsWith(name));
  };

  it('adds the partitions of a topic, and is as old as the oldest one that is behind', async () => {
    const registry = new Registry();
    const metrics = new ConsumerMetrics(registry, 'g', () => 100_000);
    expect(await read(registry, 'sluice_consumer_lag_seconds')).toEqual([
      'sluice_consumer_lag_seconds{group="g"} 0',
    ]);
    metrics.reached('t', 0, 3n, 10n, 90_000);
    metrics.reached('t', 1, 5n, 6n, 95_000);
    metrics.reached('t', 2, 8n, 8n, 1_000);
    expect(await read(registry, 'sluice_consumer_lag_records')).toEqual([
      'sluice_consumer_lag_records{group="g",topic="t"} 8',
    ]);
    expect(await read(registry, 'sluice_consumer_lag_seconds')).toEqual([
      'sluice_consumer_lag_seconds{group="g"} 10',
    ]);
    metrics.reached('t', 0, 10n, 10n, 90_000);
    metrics.reached('t', 1, 6n, 6n, 95_000);
    expect(await read(registry, 'sluice_consumer_lag_seconds')).toEqual([
      'sluice_consumer_lag_seconds{group="g"} 0',
    ]);
  });

  it('counts deliveries that come again, by the code of what failed', async () => {
    const registry = new Registry();
    const metrics = new ConsumerMetrics(registry, 'g');
    metrics.retried('DATABASE_FAULT');
    expect(await metricValues(registry, 'sluice_delivery_retries_total')).toEqual({
      ...{ 'BROKER_UNAVAILABLE g': 0, 'DATABASE_UNAVAILABLE g': 0, 'INTERNAL g': 0 },
      'DATABASE_FAULT g': 1,
    });
  });

  it('forgets the partitions at a rebalance, and counts it', async () => {
    const registry = new Registry();
    const metrics = new ConsumerMetrics(registry, 'g', () => 100_000);
    metrics.reached('t', 0, 3n, 10n, 90_000);
    metrics.joined();
    expect(await read(registry, 'sluice_consumer_lag_records')).toEqual([
      'sluice_consumer_lag_records{group="g",topic="t"} 0',
    ]);
    expect(await read(registry, 'sluice_rebalances_total')).toEqual(['sluice_rebalances_total{group="g"} 1']);
  });
});
