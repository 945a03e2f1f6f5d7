import { INGESTOR_METRICS } from './catalogue/ingestor-metrics.js';
import { LOADER_METRICS } from './catalogue/loader-metrics.js';
import { SHARED_METRICS } from './catalogue/shared-metrics.js';
import { TRACKER_METRICS } from './catalogue/tracker-metrics.js';
import { VALIDATOR_METRICS } from './catalogue/validator-metrics.js';

export type { MetricFacts, MetricSource } from './catalogue/metric-facts.js';

/**
 * Every metric of Sluice's own: `counter`, `gauge` and `histogram` of metrics.ts make no other. `docs/metrics.md` is written from
 * it. Names and labels are stable: dashboards and alerts of others depend on them.
 */
export const METRICS = {
  ...INGESTOR_METRICS,
  ...VALIDATOR_METRICS,
  ...LOADER_METRICS,
  ...TRACKER_METRICS,
  ...SHARED_METRICS,
} as const;

export type MetricName = keyof typeof METRICS;
