/** Sends at a steady rate, whatever becomes of it, and says afterwards how long each record took to be visible. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Inbox, Produced, StreamedJob } from '../system/inbox.js';
import type { SteadyRecords } from './steady-records.js';

/** Records are handed to the client in portions, as a producer does that lingers so long. */
const PORTION_MS = 20;

export interface Rate {
  readonly recordsPerSecond: number;
  readonly seconds: number;
}

/**
 * Each portion has its moment and is sent then, or as soon as possible afterwards: a broker or a stream that falls behind
 * makes records late, and the producer does not wait.
 * @returns the portions; `at` is the moment that was meant, so that a late producer does not look quick
 */
export async function sendSteadily(
  inbox: Inbox,
  records: SteadyRecords,
  { recordsPerSecond, seconds }: Rate,
): Promise<Produced[]> {
  const portions = Math.round((seconds * 1000) / PORTION_MS);
  const size = Math.round((recordsPerSecond * PORTION_MS) / 1000);
  const beganAt = Date.now();
  const sent: Promise<Produced[]>[] = [];
  for (let portion = 0; portion < portions; portion++) {
    const at = beganAt + portion * PORTION_MS;
    const early = at - Date.now();
    if (early > 0) await delay(early);
    const sending = inbox.produceKeyed(records.take(size), at);
    // It is awaited below.
    sending.catch(() => undefined);
    sent.push(sending);
  }
  return (await Promise.all(sent)).flat();
}

/** How long it took that many records to be visible. */
export interface Latency {
  readonly ms: number;
  readonly records: number;
}

/**
 * @param jobs that have ended; together they hold all that was produced
 * @throws RangeError when a record is in none of them
 */
export function latenciesOf(produced: readonly Produced[], jobs: readonly StreamedJob[]): Latency[] {
  const ranges = rangesByPartition(jobs);
  return produced.flatMap(({ partition, offset, records, at }) => {
    const own = (ranges.get(partition) ?? []).filter(
      ({ from, to }) => from < offset + records && to > offset,
    );
    const found = own.map(({ from, to, visibleAt }) => ({
      ms: visibleAt - at,
      records: Math.min(to, offset + records) - Math.max(from, offset),
    }));
    if (found.reduce((sum, each) => sum + each.records, 0) !== records)
      throw new RangeError(
        `Not all of ${records} records from offset ${offset} of partition ${partition} are in a job.`,
      );
    return found;
  });
}

/** The smallest latency that this share of the records does not exceed; NaN of none. @param share 0…1 */
export function latencyAt(latencies: readonly Latency[], share: number): number {
  const sorted = [...latencies].sort((a, b) => a.ms - b.ms);
  let left = share * sorted.reduce((sum, { records }) => sum + records, 0);
  for (const { ms, records } of sorted) if ((left -= records) <= 0) return ms;
  return NaN;
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly visibleAt: number;
}

function rangesByPartition(jobs: readonly StreamedJob[]): Map<number, Range[]> {
  const ranges = new Map<number, Range[]>();
  for (const { visibleAt, ranges: own } of jobs) {
    for (const [partition, [from, to]] of own) {
      const all = ranges.get(partition) ?? [];
      all.push({ from, to, visibleAt: visibleAt ?? NaN });
      ranges.set(partition, all);
    }
  }
  return ranges;
}
