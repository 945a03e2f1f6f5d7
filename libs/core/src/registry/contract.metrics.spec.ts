import { expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { metricValues } from '#test/support/metric-values.js';
import type { Dataset } from '../dataset/dataset.js';
import { ContractMetrics } from './contract.metrics.js';
import { DatasetRegistry } from './registry.js';

it('shows the version of each contract', async () => {
  const registry = new Registry();
  const dataset = { name: 'shops', contractVersion: 7 } as unknown as Dataset;
  new ContractMetrics(
    registry,
    new DatasetRegistry([{ name: 'shops', dataset, folder: '', schema: 'public', tables: [] }]),
  );
  expect(await metricValues(registry, 'sluice_contract_info')).toEqual({ '7 shops': 1 });
});
