import { v7 as uuidv7 } from 'uuid';
import type { OffsetRange } from '#core/stream/position.js';
import { type RangeToTake, behind } from '#core/stream/take-range.js';

/** The next range of a stream of `things`, as an ingestor would give it to the repository. */
export function rangeToTake(
  ranges: readonly OffsetRange[],
  facts: { readonly id?: string; readonly maxJobsInFlight?: number } = {},
): RangeToTake {
  const address = ranges.map(({ partition, from, to }) => `${partition}=${from}-${to}`).join('&');
  const uri = `topic://sluice.things.inbox?${address}`;
  return {
    job: {
      id: facts.id ?? uuidv7(),
      dataset: 'things',
      mode: 'upsert',
      source: { kind: 'topic', display: uri, own: {} },
      secretUri: uri,
      dryRun: false,
      limitRecords: null,
      maxRefusedShare: 1,
      maxShrinkShare: null,
      options: {},
      contractVersion: 1,
    },
    ranges,
    records: ranges.reduce((sum, { from, to }) => sum + to - from, 0),
    position: behind(ranges, () => undefined),
    maxJobsInFlight: facts.maxJobsInFlight ?? 4,
  };
}
