import { setTimeout as delay } from 'node:timers/promises';
import { type JobDetail, knowsMembers } from '#api/jobs.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { isFinal } from '#core/job/job-state.js';
import type { SluiceClient } from '../client.js';
import { needsAttention } from '../exit-codes.js';
import type { Progress } from '../render/progress.js';

/**
 * Waits for a job, showing its progress.
 *
 * - FJ1: the event stream only makes things faster. When it is silent, broken or missing, the job is
 *   asked for instead, so no lost event can make a command wait for ever.
 * - FJ2: a job is over when its state is final and the tracker knows every refused record. When the
 *   tracker learns of none for `settleMs`, the report comes without waiting longer, and says so.
 * - FJ3: a tracker that falls silent is waited for `patienceMs`; the job does not need it.
 * - FJ4: aborting `signal` lets go of the job and never touches it.
 * - FJ5: the command ends when the job needs attention, whatever the reason: otherwise an unattended command would
 *   hang unnoticed.
 */
export interface Waiting {
  /** Asks again after so long without an event: while the stream stands, and while it does not. */
  readonly quietMs: number;
  readonly pollMs: number;
  readonly patienceMs: number;
  readonly settleMs: number;
}

export const WAITING: Waiting = { quietMs: 3000, pollMs: 1000, patienceMs: 120_000, settleMs: 60_000 };

export interface Followed {
  /** As it was last seen. */
  readonly job: JobDetail;
  /** True when `signal` ended the waiting. */
  readonly detached: boolean;
}

/** @throws SluiceError JOB_UNKNOWN, SYSTEM_UNREACHABLE */
export async function followJob(
  client: SluiceClient,
  id: string,
  progress: Progress,
  signal: AbortSignal,
  waiting: Waiting,
): Promise<Followed> {
  let job = await client.job(id);
  progress.update(job);
  if (isOver(job)) return { job, detached: false };
  const closing = new AbortController();
  const events = new LatestEvent(client, id, AbortSignal.any([signal, closing.signal]), waiting.pollMs);
  const patience = new Patience(progress, waiting);
  try {
    while (!isOver(job) && !patience.isOverWith(job)) {
      const event = await events.next(events.connected ? waiting.quietMs : waiting.pollMs);
      if (signal.aborted) return { job, detached: true };
      job = event ?? (await patience.ask(() => client.job(id))) ?? job;
      progress.update(job);
    }
    return { job, detached: false };
  } finally {
    closing.abort();
  }
}

const isOver = (job: JobDetail): boolean =>
  needsAttention(job) || (isFinal(job.state) && job.deadLetters.complete && knowsMembers(job));

/** How long to put up with a tracker that does not answer (FJ3), or does not learn of the last records (FJ2). */
class Patience {
  private silentSince: number | undefined;
  private known = -1;
  private knownSince = 0;

  constructor(
    private readonly progress: Progress,
    private readonly waiting: Waiting,
  ) {}

  /** @returns undefined while the tracker is silent and may still come back */
  async ask(request: () => Promise<JobDetail>): Promise<JobDetail | undefined> {
    try {
      const job = await request();
      this.silentSince = undefined;
      return job;
    } catch (error) {
      if (!(error instanceof SluiceError) || !error.retryable) throw error;
      if (this.silentSince === undefined) {
        this.silentSince = performance.now();
        this.progress.note(`${error.message} The job continues; asking again.`);
      }
      if (performance.now() - this.silentSince > this.waiting.patienceMs) throw error;
      return undefined;
    }
  }

  isOverWith(job: JobDetail): boolean {
    if (!isFinal(job.state)) return false;
    const { known, expected } = job.deadLetters;
    if (known !== this.known) {
      this.known = known;
      this.knownSince = performance.now();
    }
    if (performance.now() - this.knownSince < this.waiting.settleMs) return false;
    const all = expected === null ? '' : ` of ${expected}`;
    this.progress.note(`The tracker knows ${known}${all} refused records so far; the rest will follow.`);
    return true;
  }
}

/** Listens in the background and keeps only the newest event: what came before it is history. */
class LatestEvent {
  connected = false;
  private latest: { readonly job: JobDetail | undefined } | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly client: SluiceClient,
    private readonly id: string,
    private readonly signal: AbortSignal,
    private readonly reconnectMs: number,
  ) {
    signal.addEventListener('abort', () => this.wake?.(), { once: true });
    void this.listen(); // ends by `signal` and never throws
  }

  /** @returns the newest event, or undefined when none came in time or it was only a hint */
  async next(timeoutMs: number): Promise<JobDetail | undefined> {
    if (this.latest === undefined && !this.signal.aborted) {
      const waited = new AbortController();
      const woken = new Promise<void>((resolve) => (this.wake = resolve));
      await Promise.race([
        woken,
        delay(timeoutMs, undefined, { signal: waited.signal }).catch(() => undefined),
      ]);
      waited.abort();
    }
    const job = this.latest?.job;
    this.latest = undefined;
    return job;
  }

  private async listen(): Promise<void> {
    while (!this.signal.aborted) {
      try {
        for await (const job of this.client.jobEvents(this.id, this.signal)) {
          this.connected = true;
          this.latest = { job };
          this.wake?.();
        }
      } catch {
        // FJ1: without the stream the job is asked for.
      }
      this.connected = false;
      await delay(this.reconnectMs, undefined, { signal: this.signal }).catch(() => undefined);
    }
  }
}
