import type { StreamPauseReason } from '#api/stream-words.js';
import type { StreamPauseDetail } from '#api/streams.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { DEFAULT_BREAKER, type Dataset, resolveOptions } from '#core/dataset/dataset.js';
import { warningCodes } from '#core/record/compile-contract.js';
import { frequentFindings, judgeStream } from '#core/stream/stream-breaker.js';
import type { StandingJob } from '#core/stream/stream-jobs.js';
import type { Stream } from '#core/stream/stream.entity.js';
import type { StreamRepository } from '#core/stream/stream.repository.js';

/** Why a stream has to stand. */
export interface Standstill {
  readonly reason: Exclude<StreamPauseReason, 'operator'>;
  readonly detail: StreamPauseDetail;
}

/**
 * Watches the jobs of a stream, as long as one ingestor holds it.
 *
 * - WS1: while every job succeeds and the last one has ended, nothing is asked of the database.
 */
export class StreamWatch {
  /** Jobs that have not ended, and the time of the oldest message of each. */
  private readonly inFlight = new Map<string, number>();
  private readonly warnings: readonly string[];
  private hasLooked = false;

  constructor(
    private readonly streams: StreamRepository,
    private readonly dataset: Dataset,
    /** A job has become visible. */
    private readonly onVisible: (msSinceOldest: number) => void,
  ) {
    this.warnings = [...warningCodes(dataset, resolveOptions(dataset, {}).values)];
  }

  /** A job has begun. @param oldest time of its oldest message, in milliseconds */
  began(job: string, oldest: number): void {
    this.inFlight.set(job, oldest);
  }

  get jobsInFlight(): number {
    return this.inFlight.size;
  }

  /** Time of the oldest message in a job that has not ended; null when all have. */
  get oldest(): number | null {
    return this.inFlight.size === 0 ? null : Math.min(...this.inFlight.values());
  }

  /** Looks which jobs have ended, and how. @returns why the stream has to stand, or null */
  async look(stream: Stream): Promise<Standstill | null> {
    if (this.hasLooked && this.inFlight.size === 0) return null;
    const active = await this.streams.activeJobs(this.dataset.name);
    const hasEnded = (await this.follow(active)) || !this.hasLooked;
    this.hasLooked = true;
    // A paused job is active: it is found as one that stands.
    const [standing] = await this.streams.standingJobs(stream);
    if (standing) return { reason: 'job', detail: this.standingDetail(standing) };
    if (!hasEnded) return null;
    const jobs = await this.streams.latestSuccesses(stream);
    const breaker = this.dataset.breaker ?? DEFAULT_BREAKER;
    const detail = judgeStream(this.dataset.name, breaker, jobs, this.warnings);
    return detail === null ? null : { reason: 'breaker', detail };
  }

  /** @returns whether a job has ended since */
  private async follow(
    active: readonly { readonly id: string; readonly createdAt: Date }[],
  ): Promise<boolean> {
    const ids = new Set(active.map(({ id }) => id));
    const ended = [...this.inFlight.keys()].filter((id) => !ids.has(id));
    const visible = ended.length === 0 ? [] : await this.streams.visibleSince(ended);
    for (const { id, finishedAt } of visible) {
      const oldest = this.inFlight.get(id);
      if (oldest !== undefined) this.onVisible(finishedAt.getTime() - oldest);
    }
    for (const id of ended) this.inFlight.delete(id);
    // Of an earlier owner: its messages were there when it was created.
    for (const { id, createdAt } of active)
      if (!this.inFlight.has(id)) this.inFlight.set(id, createdAt.getTime());
    return ended.length > 0;
  }

  private standingDetail({
    id,
    state,
    pauseReason,
    pauseDetail,
    error,
    findings,
  }: StandingJob): StreamPauseDetail {
    const { name } = this.dataset;
    const how = state === 'paused' ? `is paused (${pauseReason ?? 'unknown'})` : 'has failed';
    const why = pauseDetail?.message ?? error?.message ?? '';
    const { code, message, action } = new SluiceError(
      'STREAM_JOB_STANDS',
      `Job ${id} of the stream of ${name} ${how}${why === '' ? '' : `: ${why}`}`,
      { dataset: name, job: id },
    );
    const reasons = pauseDetail?.reasons ?? frequentFindings([{ findings: findings ?? {} }], this.warnings);
    return { code, message, action, job: id, ...(reasons.length === 0 ? {} : { reasons }) };
  }
}
