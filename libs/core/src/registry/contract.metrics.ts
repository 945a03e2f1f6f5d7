import { Injectable } from '@nestjs/common';
import { Registry } from 'prom-client';
import { gauge } from '#common/telemetry/metrics.js';
import { DatasetRegistry } from './registry.js';

/** Which version of each contract this process has. */
@Injectable()
export class ContractMetrics {
  constructor(registry: Registry, datasets: DatasetRegistry) {
    const info = gauge(registry, 'sluice_contract_info');
    for (const { name: dataset, contractVersion } of datasets.all())
      info.set({ dataset, version: String(contractVersion) }, 1);
  }
}
