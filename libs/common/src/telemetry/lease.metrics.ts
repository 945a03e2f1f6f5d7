import type { Counter, Registry } from 'prom-client';
import { counter } from './metrics.js';

/** What a process holds a lease of while it works. */
export type LeaseKind = 'job' | 'stream' | 'finalization';

/** Leases that another process took; what an operator ended is none of them. */
export class LeaseMetrics {
  private readonly leases: Counter<'lease'>;

  /** @param kinds that the service holds: each counts from 0, so that the first loss is an increase */
  constructor(registry: Registry, kinds: readonly LeaseKind[]) {
    this.leases = counter(registry, 'sluice_lost_leases_total');
    for (const lease of kinds) this.leases.inc({ lease }, 0);
  }

  lost(lease: LeaseKind): void {
    this.leases.inc({ lease });
  }
}
