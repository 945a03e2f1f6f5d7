import type { TopicPlace } from '#api/trace.js';
import type { Sighting } from '#core/trace/key-finder.js';

/** One record of the key, wherever it was found. */
export interface KeptSighting {
  readonly job: string;
  /** Of the ingestor's claim; null when only the dead letter was found. */
  readonly epoch: number | null;
  readonly sighting: Sighting;
  readonly raw: TopicPlace | null;
  readonly message: TopicPlace | null;
}

/** The limit of records of one key that are kept, those of the newest jobs: with the reasons of refused ones 12 MB at most. */
export const MAX_SIGHTINGS = 2_000;
/** Sorting for each one that is too much would take a second of each. */
const DROPPED_AT_ONCE = 500;

/** The records that were found, each once, bounded. */
export class Sightings {
  private kept = new Map<string, KeptSighting>();
  private dropped = 0;

  get size(): number {
    return this.kept.size;
  }

  /** Records that were found and are not kept. */
  get leftOut(): number {
    return this.dropped;
  }

  /** What the raw topic says goes before what a dead letter says: it has the batch's place. */
  add(found: KeptSighting): void {
    const id = `${found.job}:${found.sighting.record}`;
    const known = this.kept.get(id);
    // A batch may stand in the topic twice; the last one counts, as it does for the job.
    if (known !== undefined && (found.epoch ?? -1) < (known.epoch ?? -1)) return;
    this.kept.set(id, found);
    if (this.kept.size >= MAX_SIGHTINGS + DROPPED_AT_ONCE) this.dropOldest();
  }

  all(): readonly KeptSighting[] {
    if (this.kept.size > MAX_SIGHTINGS) this.dropOldest();
    return [...this.kept.values()];
  }

  private dropOldest(): void {
    const sorted = [...this.kept].sort(([, one], [, other]) => byAge(one, other));
    const more = sorted.length - MAX_SIGHTINGS;
    this.dropped += more;
    this.kept = new Map(sorted.slice(more));
  }
}

/** Ids of jobs are UUIDs v7. */
function byAge(one: KeptSighting, other: KeptSighting): number {
  if (one.job !== other.job) return one.job < other.job ? -1 : 1;
  return one.sighting.record - other.sighting.record;
}
