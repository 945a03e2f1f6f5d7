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
import type { JobDetail } from '#api/jobs.js';
import { LOGGER } from '#common/providers/tokens.js';
import { isSettled } from '../read-api/job-views.js';
import { JobReader } from '../read-api/job.reader.js';
import { LIVE_TIMING, type LiveTiming } from './live-timing.js';

/**
 * Watches jobs by querying the database.
 *
 * - LS1: one query a second for each watched job, for any number of watchers, and none without a watcher. In the first
 *   two seconds twenty a second, which report the end of a small job and nothing else.
 * - LS2: a new watcher gets the latest view at once, then every change, at most one a second; after an event of the job
 *   (`refresh`) the change comes at once.
 * - LS3: a watch ends with the first view after which nothing will change, when the job's row is gone, and at
 *   shutdown; not while the database is unavailable: it continues when the database is back.
 */
@Injectable()
export class JobStreams {
  private readonly watches = new Map<string, Observable<JobDetail>>();
  private readonly refreshes = new Subject<string>();
  private readonly ending = new Subject<void>();

  constructor(
    @Inject(JobReader) private readonly jobs: Pick<JobReader, 'detail'>,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(LIVE_TIMING) private readonly timing: LiveTiming,
  ) {}

  watch(job: string): Observable<JobDetail> {
    // Deferred, so that a watch without subscribers leaves nothing behind.
    return defer(() => {
      const watch = this.watches.get(job) ?? this.open(job);
      this.watches.set(job, watch);
      return watch;
    });
  }

  /** How many jobs are queried now. */
  get watchedJobs(): number {
    return this.watches.size;
  }

  /** These jobs had an event: their watchers need not wait for the next query. */
  refresh(jobs: Iterable<string>): void {
    for (const job of jobs) this.refreshes.next(job);
  }

  /** Ends every watch, whatever its job does. */
  endAll(): void {
    this.ending.next();
  }

  private open(job: string): Observable<JobDetail> {
    const refreshes = this.refreshes.pipe(filter((each) => each === job));
    // A slow answer is waited for, not overtaken by the next query.
    const asked = merge(timer(0, this.timing.pollIntervalMs), refreshes).pipe(
      exhaustMap(() => this.ask(job)),
    );
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
