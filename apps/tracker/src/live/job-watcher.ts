import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import {
  EMPTY,
  type Observable,
  ReplaySubject,
  Subject,
  catchError,
  defer,
  distinctUntilChanged,
  exhaustMap,
  filter,
  finalize,
  merge,
  share,
  take,
  takeUntil,
  takeWhile,
  timer,
} from 'rxjs';
import { LOGGER } from '#common/lifecycle/tokens.js';
import type { JobDetail } from '#core/job/job-view.js';
import { JobReader } from '../read-api/job.reader.js';
import { isSettled } from '../read-api/job-views.js';
import { LIVE_TIMING, type LiveTiming } from './live-timing.js';

/**
 * Watches jobs by asking the database.
 *
 * - W1: one question a second for each watched job, however many watch it; none when nobody does. In the first two
 *   seconds twenty a second, which pass on the end of a small job and nothing else.
 * - W2: whoever joins gets the latest view at once, then every change, at most one a second; that a job has come
 *   further (`look`) at once.
 * - W3: a watch ends with the first view after which nothing will change, when the job's row is gone, and at
 *   shutdown; not when the database is away: it goes on when that is back.
 */
@Injectable()
export class JobWatcher {
  private readonly watches = new Map<string, Observable<JobDetail>>();
  private readonly looks = new Subject<string>();
  private readonly ending = new Subject<void>();

  constructor(
    @Inject(JobReader) private readonly jobs: Pick<JobReader, 'detail'>,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(LIVE_TIMING) private readonly timing: LiveTiming,
  ) {}

  watch(job: string): Observable<JobDetail> {
    // Deferred, so that a watch which nobody subscribes to leaves nothing behind.
    return defer(() => {
      const watch = this.watches.get(job) ?? this.open(job);
      this.watches.set(job, watch);
      return watch;
    });
  }

  /** How many jobs are asked for now. */
  get watchedJobs(): number {
    return this.watches.size;
  }

  /** An event has told of these jobs: whoever watches them need not wait for the next question. */
  look(jobs: Iterable<string>): void {
    for (const job of jobs) this.looks.next(job);
  }

  /** Ends every watch, whatever its job does. */
  endAll(): void {
    this.ending.next();
  }

  private open(job: string): Observable<JobDetail> {
    const looks = this.looks.pipe(filter((each) => each === job));
    // A slow answer is waited for, not overtaken by the next question.
    const asked = merge(timer(0, this.timing.pollIntervalMs), looks).pipe(exhaustMap(() => this.ask(job)));
    return merge(asked, this.earlyEnd(job)).pipe(
      takeWhile((detail) => detail !== null),
      takeWhile((detail) => !isSettled(detail), true),
      distinctUntilChanged((before, after) => fingerprint(before) === fingerprint(after)),
      takeUntil(this.ending),
      finalize(() => this.watches.delete(job)),
      share({ connector: () => new ReplaySubject(1) }),
    );
  }

  private earlyEnd(job: string): Observable<JobDetail | null> {
    const { early } = this.timing;
    if (early === undefined) return EMPTY;
    return timer(early.intervalMs, early.intervalMs).pipe(
      take(early.looks),
      exhaustMap(() => this.ask(job)),
      filter((detail) => detail !== null && isSettled(detail)),
    );
  }

  private ask(job: string): Observable<JobDetail | null> {
    return defer(() => this.jobs.detail(job)).pipe(
      catchError((error: unknown) => {
        this.logger.warn({ err: error, job }, 'a watched job cannot be read; trying again');
        return EMPTY;
      }),
    );
  }
}

/** Everything but `seconds`, which grows with time alone. */
function fingerprint(detail: JobDetail): string {
  return JSON.stringify({ ...detail, seconds: null });
}
