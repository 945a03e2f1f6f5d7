import fc from 'fast-check';
import type { JobFact } from '../fold/fold-stages.js';

/** What property tests of the folds are made of. */

const JOBS = ['01890000-0000-7000-8000-000000000001', '01890000-0000-7000-8000-000000000002'];

/** Events of two jobs in which each id stands once; times may fall together. */
export function anyEvents(): fc.Arbitrary<JobFact[]> {
  const count = fc.integer({ min: 0, max: 1000 });
  const job = fc.constantFrom(...JOBS);
  const at = fc
    .integer({ min: 0, max: 20 })
    .map((second) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString());
  const batchEvent = fc.record({
    type: fc.constant('batch' as const),
    dataset: fc.constant('shops'),
    job,
    batch: fc.integer({ min: 0, max: 8 }),
    stage: fc.constantFrom('ingest' as const, 'validate' as const, 'load' as const),
    records: count,
    bytes: count,
    accepted: count,
    refused: count,
    skipped: count,
    warnings: count,
    findings: fc.dictionary(fc.constantFrom('BAD', 'WORSE', 'TAX_ID'), fc.integer({ min: 1, max: 9 })),
    unknownMembers: fc.dictionary(fc.constantFrom('phone', 'items[].fax'), fc.integer({ min: 1, max: 9 })),
    at,
  });
  const jobEvent = fc.record({
    type: fc.constant('job' as const),
    dataset: fc.constant('shops'),
    job,
    state: fc.constant('finalizing' as const),
    step: fc.constantFrom(null, 'index', 'settle', 'swap'),
    at,
  });
  return fc
    .tuple(
      fc.uniqueArray(batchEvent, {
        selector: (event) => `${event.job}:${event.batch}:${event.stage}`,
        maxLength: 40,
      }),
      fc.array(jobEvent, { maxLength: 6 }),
    )
    .map(([batches, jobs]): JobFact[] => [...batches, ...jobs]);
}

/** The same items in another order, some of them twice, cut into deliveries; decided by `choices` alone. */
export function shuffled<T>(items: readonly T[], choices: Iterator<number>): T[][] {
  const choose = (below: number): number => (below === 0 ? 0 : (choices.next().value as number) % below);
  const pool = [...items, ...items.filter(() => choose(3) === 0)];
  const deliveries: T[][] = [];
  while (pool.length > 0) {
    const delivery: T[] = [];
    for (let size = 1 + choose(12); size > 0 && pool.length > 0; size--)
      delivery.push(...pool.splice(choose(pool.length), 1));
    deliveries.push(delivery);
  }
  return deliveries;
}
