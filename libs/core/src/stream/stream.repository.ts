import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { StreamPauseReason, StreamWaitCode } from '#api/stream-words.js';
import type { StreamHour, StreamPauseDetail, StreamStartRequest } from '#api/streams.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { inTransaction } from '#common/postgres/pool.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { createJob } from '../job/create-job.js';
import { DEFAULT_LEASE_SECONDS } from '../job/job.repository.js';
import { type PruneBounds, pruneStreamJobs } from '../job/prune-stream-jobs.js';
import type { StreamPosition } from './position.js';
import { DEFAULT_STREAM_SETTINGS } from './range-builder.js';
import { readStream, readStreams } from './read-stream.js';
import type { JudgedStreamJob } from './stream-breaker.js';
import {
  type StreamClaim,
  type StreamVersions,
  claimStreams,
  declareStreamWait,
  releaseStream,
  renewStreamLease,
  setDrainTo,
  setPosition,
  standStream,
  stopStream,
  streamsOfNewerVersions,
} from './stream-claim.js';
import {
  type StandingJob,
  type StreamJobFacts,
  activeJobs,
  latestSuccesses,
  standingJobs,
  streamJobFacts,
  visibleSince,
} from './stream-jobs.js';
import { streamHours } from './stream-hours.js';
import { drainStream, pauseStream, resumeStream, startStream } from './stream-orders.js';
import type { Stream } from './stream.entity.js';
import { type RangeToTake, type TakenRange, takeRange } from './take-range.js';

type Wait = { readonly code: StreamWaitCode; readonly message: string };

/** What an ingestor reads of streams and changes in their rows, for operators and under its own claims. */
export class StreamRepository {
  private readonly pool: Pool;

  /** @param database initialized */
  constructor(
    database: DataSource,
    private readonly leaseSeconds: number = DEFAULT_LEASE_SECONDS,
  ) {
    this.pool = poolOf(database);
  }

  /** Streams that were started some time, by dataset. */
  all(): Promise<Stream[]> {
    return readStreams(this.pool);
  }

  /** @returns null when the dataset's stream was never started */
  find(dataset: string): Promise<Stream | null> {
    return readStream(this.pool, dataset);
  }

  /** @throws SluiceError STREAM_TRANSITION_REFUSED */
  start(dataset: string, settings: StreamStartRequest, contractVersion: number): Promise<Stream> {
    return this.ordered(
      dataset,
      'started',
      startStream(this.pool, dataset, settings, DEFAULT_STREAM_SETTINGS, contractVersion),
    );
  }

  /** After this no job of the stream begins; those that have begun run to their end. @throws as {@link start} */
  pause(dataset: string): Promise<Stream> {
    return this.ordered(dataset, 'paused', pauseStream(this.pool, dataset));
  }

  /** @param skipLost continues behind messages that are gone from the inbox @throws as {@link start} */
  resume(dataset: string, skipLost: boolean): Promise<Stream> {
    return this.ordered(dataset, 'resumed', resumeStream(this.pool, dataset, skipLost));
  }

  /** @throws as {@link start} */
  drain(dataset: string): Promise<Stream> {
    return this.ordered(dataset, 'drained', drainStream(this.pool, dataset));
  }

  claim(owner: string, versions: StreamVersions): Promise<Stream[]> {
    return claimStreams(this.pool, owner, this.leaseSeconds, versions);
  }

  /** Running streams that no ingestor holds and this one may not, because a newer version has run them. */
  ofNewerVersions(versions: StreamVersions): Promise<string[]> {
    return streamsOfNewerVersions(this.pool, versions);
  }

  /** @returns the row as it is now; null when the claim is lost, or the stream was paused */
  renew(claim: StreamClaim, oldestWaiting: Date | null): Promise<Stream | null> {
    return renewStreamLease(this.pool, claim, this.leaseSeconds, oldestWaiting);
  }

  setPosition(claim: StreamClaim, position: StreamPosition): Promise<boolean> {
    return setPosition(this.pool, claim, position);
  }

  setDrainTo(claim: StreamClaim, target: StreamPosition): Promise<boolean> {
    return setDrainTo(this.pool, claim, target);
  }

  /** @param wait null: for nothing any more */
  declareWait(dataset: string, wait: Wait | null): Promise<void> {
    return declareStreamWait(this.pool, dataset, wait);
  }

  /** Pauses the stream and releases it. @returns false when the claim is lost */
  stand(
    claim: StreamClaim,
    reason: Exclude<StreamPauseReason, 'operator'>,
    detail: StreamPauseDetail,
  ): Promise<boolean> {
    return standStream(this.pool, claim, reason, detail);
  }

  /** A drained stream. @returns false when the claim is lost, or another end was ordered since */
  stop(claim: StreamClaim, drainTo: StreamPosition): Promise<boolean> {
    return stopStream(this.pool, claim, drainTo);
  }

  release(claim: StreamClaim): Promise<void> {
    return releaseStream(this.pool, claim);
  }

  /**
   * Begins a job of a range and moves the position, in one transaction (`take-range.ts`). The job is claimed, with epoch 1.
   * @param owner the ingestor that has the stream, and the job from now on
   * @param start starts the job in the same transaction; absent: its run does, in one of its own
   * @throws SluiceError JOB_ACTIVE when another job of the dataset excludes this one
   */
  take(
    claim: StreamClaim,
    owner: string,
    range: RangeToTake,
    start?: (client: SqlClient) => Promise<void>,
  ): Promise<TakenRange> {
    const claimAtBirth = { owner, leaseSeconds: this.leaseSeconds };
    return inTransaction(this.pool, async (client) => {
      // TK4
      const longest = `${this.leaseSeconds}s`;
      await client.query(`SELECT set_config('idle_in_transaction_session_timeout', $1, true)`, [longest]);
      return takeRange(client, claim, range, async (within, job, afterJob) => {
        await createJob(within, { ...job, stream: claim.dataset, afterJob }, claimAtBirth);
        await start?.(within);
      });
    });
  }

  /** Jobs of the stream that have not ended, the oldest first. */
  activeJobs(dataset: string): Promise<readonly { readonly id: string; readonly createdAt: Date }[]> {
    return activeJobs(this.pool, dataset);
  }

  visibleSince(
    jobs: readonly string[],
  ): Promise<readonly { readonly id: string; readonly finishedAt: Date }[]> {
    return visibleSince(this.pool, jobs);
  }

  standingJobs(stream: Pick<Stream, 'dataset' | 'judgedFrom'>): Promise<StandingJob[]> {
    return standingJobs(this.pool, stream);
  }

  latestSuccesses(stream: Pick<Stream, 'dataset' | 'judgedFrom'>): Promise<JudgedStreamJob[]> {
    return latestSuccesses(this.pool, stream);
  }

  jobFacts(stream: Pick<Stream, 'dataset' | 'lastJob'>): Promise<StreamJobFacts> {
    return streamJobFacts(this.pool, stream);
  }

  /** The newest first; hours in which no job succeeded are left out. */
  hours(dataset: string, last: number): Promise<StreamHour[]> {
    return streamHours(this.pool, dataset, last);
  }

  /** Deletes rows of finished jobs of the stream, the oldest first. @returns how many jobs went */
  prune(dataset: string, bounds: PruneBounds): Promise<number> {
    return inTransaction(this.pool, (client) => pruneStreamJobs(client, dataset, bounds));
  }

  private async ordered(dataset: string, what: string, order: Promise<Stream | null>): Promise<Stream> {
    const stream = await order;
    if (stream !== null) return stream;
    const { state = 'stopped' } = (await this.find(dataset)) ?? {};
    throw new SluiceError(
      'STREAM_TRANSITION_REFUSED',
      `The stream of ${dataset} cannot be ${what}: it is ${state}.`,
      { dataset },
    );
  }
}
