import type { Registry } from 'prom-client';

/** What a metric says now: its values by its label values, sorted and with spaces between. Empty when there is no series. */
export async function metricValues(registry: Registry, name: string): Promise<Record<string, number>> {
  const metric = await registry.getSingleMetric(name)?.get();
  return Object.fromEntries(
    (metric?.values ?? []).map(({ labels, value }) => [Object.values(labels).sort().join(' '), value]),
  );
}
