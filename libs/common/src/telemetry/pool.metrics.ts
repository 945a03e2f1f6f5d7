import type { Pool } from 'pg';
import type { Counter, Registry } from 'prom-client';
import { counter, gauge } from './metrics.js';

/** `control`: TypeORM's, for the control tables; `direct`: plain connections, to load, finalize and fold. */
export type PoolName = 'control' | 'direct';

/** How busy the connections of a service are; nothing of it in a service without a database. */
export class PoolMetrics {
  private readonly pools = new Map<PoolName, Pool>();
  private waits: Counter<'pool'> | undefined;

  constructor(private readonly registry: Registry) {}

  /** Reads the pool at each scrape from now on, and counts who has to wait. */
  watch(name: PoolName, pool: Pool): void {
    this.waits ??= this.begin();
    this.waits.inc({ pool: name }, 0);
    this.pools.set(name, pool);
    const { waits } = this;
    const connect = pool.connect.bind(pool) as (...args: unknown[]) => unknown;
    // `query` of the pool takes its connection by `connect`, too.
    pool.connect = ((...args: unknown[]) => {
      const isFull = pool.totalCount >= pool.options.max;
      if (isFull && pool.idleCount <= pool.waitingCount) waits.inc({ pool: name });
      return connect(...args);
    }) as Pool['connect'];
  }

  private begin(): Counter<'pool'> {
    const { registry, pools } = this;
    gauge(registry, 'sluice_pool_connections', (connections) => {
      for (const [pool, { totalCount, idleCount }] of pools) {
        connections.set({ pool, state: 'busy' }, totalCount - idleCount);
        connections.set({ pool, state: 'idle' }, idleCount);
      }
    });
    gauge(registry, 'sluice_pool_limit_connections', (limit) => {
      for (const [pool, { options }] of pools) limit.set({ pool }, options.max);
    });
    gauge(registry, 'sluice_pool_waiting', (waiting) => {
      for (const [pool, { waitingCount }] of pools) waiting.set({ pool }, waitingCount);
    });
    return counter(registry, 'sluice_pool_waits_total');
  }
}
