import { Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import type {
  TraceProgress,
  TraceRequest,
  TraceSupersededBy,
  TraceView,
  TracedDeadLetter,
  TracedJob,
  TracedRecord,
} from '#api/trace.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { KAFKA } from '#common/providers/tokens.js';
import { topicOf } from '#core/message/topics.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { type Fate, fatesOf } from '#core/trace/fate.js';
import { verdictOf } from '#core/trace/verdict.js';
import { type WantedKey, wantedKey } from '#core/trace/wanted-key.js';
import { DeadLetterSearch, deadLettersOf } from './dead-letter-search.js';
import { type HistoryJob, type PartitionEnd, deletedHistory, historyOf } from './history-reader.js';
import { type RawBounds, RawSearch } from './raw-search.js';
import { readRow } from './row-reader.js';
import { type KeptSighting, Sightings } from './sightings.js';
import { TraceMetrics } from './trace.metrics.js';

/** Each searches with one core's worth of work and a connection to the brokers; the tracker has other things to do as well. */
export const MAX_TRACES = 2;

/** A trace that is ready to be begun: its request is sound. */
export interface ReadyTrace {
  readonly wanted: WantedKey;
  readonly bounds: RawBounds;
}

/**
 * Answers why a row is missing, or as it is: from its table, the dead letters and the raw topic of its dataset.
 *
 * - TQ1: it changes nothing, and joins no consumer group.
 * - TQ2: the row, the jobs and the dead letters of what was found are read in one snapshot, after the search: what a job has made
 *   visible meanwhile is not half of the answer.
 * - TQ3: what could not be searched is counted, and never taken for empty.
 */
@Injectable()
export class Tracer {
  private running = 0;

  constructor(
    private readonly registry: DatasetRegistry,
    private readonly database: DataSource,
    @Inject(KAFKA) private readonly kafka: Kafka,
    private readonly metrics: TraceMetrics,
  ) {}

  /** @throws SluiceError DATASET_UNKNOWN, REQUEST_INVALID */
  ready({ dataset, key, row, job, from, to }: TraceRequest): ReadyTrace {
    const wanted = wantedKey(this.registry.get(dataset), key, row ?? null);
    const times = [from, to].map((time) => (time === undefined ? null : Date.parse(time)));
    const [start = null, end = null] = times;
    if (start !== null && end !== null && start >= end)
      throw new SluiceError('REQUEST_INVALID', 'The time `from` is not before `to`.');
    return { wanted, bounds: { job: job?.toLowerCase() ?? null, from: start, to: end } };
  }

  /**
   * @param progressed while the search is under way, and waited for
   * @throws SluiceError TRACE_BUSY, TOPIC_MISSING, BROKER_UNAVAILABLE, BROKER_FAULT; what `pg` throws; the signal's reason
   */
  async trace(
    ready: ReadyTrace,
    progressed: (progress: TraceProgress) => Promise<void>,
    signal: AbortSignal,
  ): Promise<TraceView> {
    if (this.running >= MAX_TRACES)
      throw new SluiceError('TRACE_BUSY', `${MAX_TRACES} traces are under way at this tracker.`);
    this.running += 1;
    try {
      const view = await this.search(ready, progressed, signal);
      this.metrics.traced(ready.wanted.dataset.name, view.verdict);
      return view;
    } finally {
      this.running -= 1;
    }
  }

  private async search(
    { wanted, bounds }: ReadyTrace,
    progressed: (progress: TraceProgress) => Promise<void>,
    signal: AbortSignal,
  ): Promise<TraceView> {
    const pool = poolOf(this.database);
    const sightings = new Sightings();
    const letters = new DeadLetterSearch(pool, wanted, bounds.job);
    await letters.search((found) => {
      sightings.add({ ...found, epoch: null, raw: null });
    }, signal);
    const search = new RawSearch(this.kafka, wanted, bounds);
    await search.search(
      (found) => {
        sightings.add(found);
      },
      ({ searched, of }) => progressed({ searched, of, found: sightings.size }),
      signal,
    );
    const { batches, unreadable, withoutKey, oldest } = search.facts;
    const ends = await this.endsOf(wanted.dataset.name);
    const found = sightings.all();
    return inSnapshot(pool, async (client) => {
      const row = await readRow(client, wanted);
      const jobs = await historyOf(client, wanted.dataset.name, [...new Set(found.map(({ job }) => job))]);
      const keys = found.map(({ job, sighting: { record } }) => ({ job, record }));
      const deadLetters = await deadLettersOf(client, keys);
      const deleted = await deletedHistory(client, {
        ...{
          dataset: wanted.dataset.name,
          topic: topicOf(wanted.dataset.name, 'raw'),
          job: bounds.job,
          ends,
        },
        oldest: oldest === null ? null : new Date(oldest),
      });
      const isBounded = Object.values(bounds).some((bound) => bound !== null);
      const { leftOut } = sightings;
      const { withoutKey: deadLettersWithoutKey } = letters;
      const view = viewOf(wanted, found, jobs, deadLetters, row);
      const unknownJobs = unknownJobsOf(view.records);
      const gaps = [deleted.jobs, leftOut, unreadable, withoutKey, deadLettersWithoutKey, unknownJobs];
      return {
        ...view,
        history: {
          isComplete: !isBounded && gaps.every((count) => count === 0),
          ...{ batches, unreadable, withoutKey, deadLettersWithoutKey, unknownJobs, deleted, leftOut },
          oldest: oldest === null ? null : new Date(oldest).toISOString(),
        },
      };
    });
  }

  private async endsOf(dataset: string): Promise<PartitionEnd[]> {
    const reader = await TopicReader.open(this.kafka, topicOf(dataset, 'raw'), new Map());
    try {
      return [...(await reader.ends())].map(([partition, { low, high }]) => ({
        ...{ partition, low: String(low), high: String(high) },
      }));
    } finally {
      await reader.close();
    }
  }
}

/** TQ2. */
async function inSnapshot<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let isBroken = true;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    const result = await work(client);
    await client.query('ROLLBACK');
    isBroken = false;
    return result;
  } finally {
    client.release(isBroken);
  }
}

function viewOf(
  wanted: WantedKey,
  found: readonly KeptSighting[],
  jobs: ReadonlyMap<string, HistoryJob>,
  deadLetters: ReadonlyMap<string, TracedDeadLetter>,
  row: TraceView['row'],
): Omit<TraceView, 'history'> {
  // What a job has thrown away when it began again is not its any more.
  const counted = found.filter(
    ({ job, epoch }) => epoch === null || epoch >= (jobs.get(job)?.firstEpoch ?? 0),
  );
  const letterOf = ({ job, sighting }: KeptSighting): TracedDeadLetter | null =>
    deadLetters.get(`${job}:${sighting.record}`) ?? null;
  const { fates, standing, removedBy } = fatesOf(
    counted.map((each) => ({
      ...{
        job: each.job,
        record: each.sighting.record,
        is: each.sighting.is,
        version: each.sighting.version,
      },
      isRefused: letterOf(each) !== null,
    })),
    new Map([...jobs].map(([id, { dryRun, ...job }]) => [id, { ...job, isDryRun: dryRun }])),
    wanted.version?.kind ?? null,
  );
  const records = counted
    .map((each, at) => recordOf(each, fates[at], letterOf(each)))
    .sort((one, other) => orderOf(jobs, one) - orderOf(jobs, other) || byPlace(one, other));
  const { isThere } = row;
  return {
    dataset: wanted.dataset.name,
    key: Object.fromEntries(
      wanted.values.map(({ column, stored, given }) => [column.target, stored ?? given]),
    ),
    verdict: verdictOf({ isThere, isStanding: standing !== null, removedBy, records }),
    row,
    records,
    removedBy,
    jobs: namedJobs(jobs, records, removedBy),
  };
}

function recordOf(
  { job, sighting, raw, message }: KeptSighting,
  fate: Fate | undefined,
  deadLetter: TracedDeadLetter | null,
): TracedRecord {
  const { record, line, is, version, rows } = sighting;
  const decided = fate ?? { fate: 'job-unknown', supersededBy: null };
  return { job, record, line, is, version, rows, raw, message, ...decided, deadLetter };
}

/** Whether their records became visible is not known (TR3). */
function unknownJobsOf(records: readonly TracedRecord[]): number {
  return new Set(records.flatMap(({ job, fate }) => (fate === 'job-unknown' ? [job] : []))).size;
}

/** When the record's job became visible; those that are not come last. */
function orderOf(jobs: ReadonlyMap<string, HistoryJob>, { job }: TracedRecord): number {
  const known = jobs.get(job);
  const isVisible = known?.state === 'succeeded' && !known.dryRun && known.finishedAt !== null;
  return isVisible ? Date.parse(known.finishedAt) : Number.MAX_SAFE_INTEGER;
}

function byPlace(one: TracedRecord, other: TracedRecord): number {
  if (one.job !== other.job) return one.job < other.job ? -1 : 1;
  return one.record - other.record;
}

/** Those that the answer names, the oldest first. */
function namedJobs(
  jobs: ReadonlyMap<string, HistoryJob>,
  records: readonly TracedRecord[],
  removedBy: TraceSupersededBy | null,
): TracedJob[] {
  const named = new Set([
    ...records.flatMap(({ job, supersededBy }) => [job, supersededBy?.job]),
    removedBy?.job,
  ]);
  return [...jobs.values()]
    .filter(({ id }) => named.has(id))
    .map(({ firstEpoch: _firstEpoch, ...job }) => job)
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}
