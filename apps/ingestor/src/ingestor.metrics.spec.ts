import { expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { metricValues } from '#test/support/metric-values.js';
import { IngestorMetrics } from './ingestor.metrics.js';

it('requests that are made again are counted from 0 on, by what went wrong', async () => {
  const registry = new Registry();
  const metrics = new IngestorMetrics(registry);
  metrics.sourceRetried('SOURCE_STALLED');
  expect(await metricValues(registry, 'sluice_source_retries_total')).toEqual({
    ...{ SOURCE_SERVER_ERROR: 0, SOURCE_STALLED: 1, SOURCE_TRUNCATED: 0, SOURCE_UNREACHABLE: 0 },
  });
});
