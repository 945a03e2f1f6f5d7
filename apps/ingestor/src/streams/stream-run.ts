import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { OffsetOutOfRange } from '#common/kafka/transport/offset-out-of-range.js';
import { GroupOffsets } from '#common/kafka/transport/group-offsets.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { inboxOf } from '#core/message/topics.js';
import {
  type LogEnds,
  type StreamPosition,
  beginningOf,
  hasReached,
  lagOf,
  nextOf,
  skipLost,
} from '#core/stream/position.js';
import { mergeModeOf } from '#core/stream/merge-mode.js';
import { RangeBuilder } from '#core/stream/range-builder.js';
import type { StreamClaim } from '#core/stream/stream-claim.js';
import type { Stream } from '#core/stream/stream.entity.js';
import type { StreamRepository } from '#core/stream/stream.repository.js';
import type { NewJob } from '#core/job/create-job.js';
import type { Claim } from '#core/job/ingest-claim.js';
import type { JobAtBirth } from '../jobs/job-at-birth.js';
import type { MessageSource } from '../sources/message-source.js';
import { InboxReader, LONGEST_ANSWER_MS, LONGEST_FETCH_MS, lossDetail } from './inbox-reader.js';
import { isServerAway } from './server-away.js';
import { ShownOffsets } from './shown-offsets.js';
import { type InboxMessage, type InboxRange, heldMessages, rangeToTake } from './stream-job.js';
import type { StreamMetrics } from './stream.metrics.js';
import { StreamLease } from './stream-lease.js';
import { type Standstill, StreamWatch } from './stream-watch.js';

/** What takes a claimed job to the raw topic. */
export interface RunsJobs {
  /** Starts a job of messages in the transaction that makes its row. Absent: its run starts it. */
  starterOf?(job: NewJob): Promise<JobAtBirth>;
  /** Never rejects. */
  run(claim: Claim, drain: AbortSignal, opened: MessageSource): Promise<void>;
}

export interface StreamRunParts {
  readonly streams: StreamRepository;
  readonly runner: RunsJobs;
  readonly kafka: Kafka;
  readonly metrics: StreamMetrics;
  readonly logger: Logger;
  /** By which this process holds leases. */
  readonly instance: string;
  readonly leaseSeconds: number;
  /** Another ingestor has taken the stream. Must not throw. */
  readonly onLeaseLost?: () => void;
  /** Takes a job that runs here, until its source is read. */
  readonly onJob: (run: Promise<void>) => void;
}

/** Unfinished jobs of one stream: each waits to become visible until the one before it is. */
export const MAX_JOBS_IN_FLIGHT = 4;

const LOOK_EVERY_MS = 1_000;
/** Partitions that were added are found, and lag is measured, while messages come and while none do. */
const ENDS_EVERY_MS = 2_000;
const ENDS_EVERY_MS_IDLE = 5_000;
const RETRY_FIRST_MS = 200;
const RETRY_LONGEST_MS = 5_000;
const SLOT_POLL_MS = 25;
const LANE_POLL_MS = 250;
/** What is needed to start a job with its row comes from the broker. A job whose row is made alone starts with its run. */
const BIRTH_WITHIN_MS = 500;
/** An error that is not known to pass is met so often, each time soon after the last one, before the stream stands. */
const MAX_FAULTS = 5;
const FAULTS_WITHIN_MS = 600_000;

/**
 * One stream in the hands of this ingestor: reads the inbox, closes ranges, begins a job of each.
 *
 * claim → compare the inbox with the position → read → close a range → write job and position → hand the messages to the
 * job's run → …
 *
 * Invariants
 * - SR1 (G1): a range is given up with all its messages until its job is written; then it is the job's, which any ingestor
 *   reads again from its address. So no message is in two jobs or in none, whatever ends this process, and when.
 * - SR2: what is held in memory is one range that is open or waits for its turn, one fetch, and what jobs are still
 *   publishing. Back-pressure appears as lag.
 * - SR3: it never stands still in silence: it declares what it waits for, or pauses with a reason.
 * - SR4: an idle inbox makes no jobs.
 */
export class StreamRun {
  private readonly lease: StreamLease;
  private readonly signal: AbortSignal;
  private readonly watch: StreamWatch;
  private readonly shown: ShownOffsets;
  private readonly log: Logger;
  private readonly topic: string;
  private position: StreamPosition = {};
  private builder: RangeBuilder<InboxMessage>;
  private ends: readonly LogEnds[] = [];
  private endsAt = -Infinity;
  private lookedAt = -Infinity;
  private faults = 0;
  private faultAt = -Infinity;
  private isWaiting = false;

  /**
   * @param stream as it was claimed
   * @param drain aborted when the process has to end
   */
  constructor(
    stream: Stream,
    private readonly dataset: Dataset,
    private readonly parts: StreamRunParts,
    private readonly drain: AbortSignal,
  ) {
    const { streams, logger, instance, leaseSeconds } = parts;
    this.log = logger.child({ dataset: dataset.name, epoch: stream.epoch });
    this.lease = new StreamLease(
      ...([streams, stream, instance, leaseSeconds, this.log] as const),
      () => this.oldest,
      () => {
        parts.onLeaseLost?.();
      },
    );
    this.signal = AbortSignal.any([this.lease.signal, drain]);
    this.watch = new StreamWatch(streams, dataset, (ms) => {
      parts.metrics.visible(dataset.name, ms / 1_000);
    });
    this.topic = inboxOf(dataset);
    this.shown = new ShownOffsets(new GroupOffsets(parts.kafka), dataset.name, this.topic, this.log);
    this.builder = this.newBuilder();
    this.isWaiting = stream.wait !== null;
  }

  private get claim(): StreamClaim {
    return this.lease.stream;
  }

  /** The stream is not ours any more, or the process has to end. */
  private isOver(): boolean {
    return this.signal.aborted;
  }

  /** Looks at once at what an operator has changed. */
  async look(): Promise<void> {
    await this.lease.look();
  }

  /** Never rejects. Resolves when the stream stands, is drained, or is another's. */
  async run(): Promise<void> {
    this.log.info({ topic: this.topic }, 'stream claimed');
    try {
      for (let attempt = 1; !this.isOver(); attempt++) {
        const before = performance.now();
        try {
          await this.attend();
          return;
        } catch (error) {
          // Longer than its longest back-off, it had come somewhere.
          if (performance.now() - before > 2 * RETRY_LONGEST_MS) attempt = 1;
          if (this.isOver() || (await this.hasToStand(error))) return;
          await this.backOff(attempt);
        }
      }
    } finally {
      this.parts.metrics.forgetLag(this.dataset.name);
      const isOurs = !this.lease.signal.aborted;
      await this.lease.stop();
      await this.parts.streams.release(this.claim).catch((error: unknown) => {
        this.log.warn(`the stream could not be released: ${messageOf(error)}`);
      });
      // The position of a lost stream is another's to show.
      await this.shown.end(isOurs ? this.position : {});
    }
  }

  /** From opening the inbox until the stream ends here; an error gives up what was read (SR1). */
  private async attend(): Promise<void> {
    this.builder = this.newBuilder();
    const reader = await this.answered(InboxReader.open(this.parts.kafka, this.topic));
    try {
      if (!(await this.begin(reader))) return;
      await this.waitsFor(null);
      for (;;) {
        this.signal.throwIfAborted();
        this.builder.settings = this.lease.stream;
        if (!this.builder.isFull) await this.read(reader);
        const range = this.builder.close(performance.now(), this.isDrainedOf(reader));
        if (range !== null && !(await this.take(range))) return;
        if (await this.hasEnded(reader)) return;
      }
    } finally {
      await reader.close();
    }
  }

  /** IR2. @returns false when the stream stands */
  private async begin(reader: InboxReader): Promise<boolean> {
    const { streams } = this.parts;
    const stream = await streams.find(this.dataset.name);
    await this.measure(reader);
    const begun = stream?.position ?? null;
    this.position = begun ?? beginningOf(this.ends);
    if (begun === null) await streams.setPosition(this.claim, this.position);
    const found = await this.answered(reader.compare(this.position, this.ends, this.signal));
    if (found.lost.length + found.recreated.length > 0) {
      const detail = lossDetail(this.dataset.name, this.topic, found);
      if (stream?.skipLost !== true) {
        await this.stand({ reason: 'inbox', detail });
        return false;
      }
      this.log.warn({ lost: found.lost, recreated: found.recreated }, `skipped: ${detail.message}`);
      this.position = skipLost(this.position, this.ends, found.recreated);
    }
    if (stream?.skipLost === true) await streams.setPosition(this.claim, this.position);
    reader.readFrom(this.position, this.ends);
    return true;
  }

  private async read(reader: InboxReader): Promise<void> {
    const longest = this.isDrainedOf(reader) ? SLOT_POLL_MS : LONGEST_FETCH_MS;
    const wait = Math.min(longest, this.builder.msToClose(performance.now()));
    const messages = await reader.fetch(Math.max(1, wait), this.signal);
    if (reader.isSilent) await this.waitsForBrokers();
    else await this.waitsFor(null);
    this.builder.offer(messages, performance.now());
    if (!this.builder.isEmpty) faultPoint('stream.range-open');
  }

  /** Begins the job of a range, waiting for its turn. @returns false when the stream stands */
  private async take(range: InboxRange): Promise<boolean> {
    const { streams, instance, metrics, runner, onJob } = this.parts;
    const mode = mergeModeOf(this.dataset);
    if (mode === null)
      throw new SluiceError('STREAM_FAULT', `${this.dataset.name} allows replace only, and a stream merges.`);
    const wanted = rangeToTake(this.dataset, mode, this.topic, range, MAX_JOBS_IN_FLIGHT);
    const birth = await this.starterOf(wanted.job);
    const begin = async (): ReturnType<typeof streams.take> => {
      if (birth?.hasFailed === false) {
        try {
          return await streams.take(this.claim, instance, wanted, birth.start);
        } catch (error) {
          // As above: set by the attempt.
          if (!(birth.hasFailed as boolean)) throw error;
        }
      }
      return streams.take(this.claim, instance, wanted);
    };
    for (let attempt = 1; ; attempt++) {
      this.signal.throwIfAborted();
      const outcome = await this.tryTo(attempt, begin);
      if (outcome === 'taken') break;
      if (outcome === 'lost') {
        await this.lease.look();
        this.signal.throwIfAborted();
        throw new SluiceError('INTERNAL', `The stream of ${this.dataset.name} is ours and takes no range.`);
      }
      if (await this.looksAtJobs()) return false;
    }
    this.position = { ...this.position, ...wanted.position };
    const { id } = wanted.job;
    this.watch.began(id, range.oldest);
    metrics.taken(this.dataset.name, wanted.records, range.closedBy);
    this.log.info(
      { job: id, records: wanted.records, bytes: range.bytes, by: range.closedBy },
      'range taken',
    );
    faultPoint('stream.job-row-written');
    onJob(runner.run({ id, epoch: 1 }, this.drain, heldMessages(range)));
    await this.waitsFor(null);
    return true;
  }

  /** Whatever keeps it from being started here is found again, and said, by its run. @returns null when it is not known in time */
  private async starterOf(job: NewJob): Promise<JobAtBirth | null> {
    const asked = this.parts.runner.starterOf?.(job).catch(() => null);
    if (asked === undefined) return null;
    const answered = new AbortController();
    const signal = AbortSignal.any([this.signal, answered.signal]);
    const tooLate = delay(BIRTH_WITHIN_MS, null, { signal }).catch(() => null);
    try {
      return await Promise.race([asked, tooLate]);
    } finally {
      answered.abort();
    }
  }

  /** One attempt, with what it waits for declared, and the wait done. */
  private async tryTo(
    attempt: number,
    take: () => Promise<'taken' | 'lost' | 'full'>,
  ): Promise<'taken' | 'lost' | 'waited'> {
    try {
      const outcome = await take();
      if (outcome !== 'full') return outcome;
      await this.waitsFor(
        'JOBS_IN_FLIGHT',
        `The stream has ${MAX_JOBS_IN_FLIGHT} unfinished jobs, as many as it may have.`,
      );
      await this.pause(SLOT_POLL_MS);
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'JOB_ACTIVE') {
        await this.waitsFor('DATASET_HELD', error.message);
        await this.pause(LANE_POLL_MS);
      } else if (isServerAway(error)) {
        // Repeated with the same job (TK3): what was committed may not be known.
        await this.waitsFor('SERVER_AWAY', messageOf(error));
        await this.backOff(attempt);
      } else throw error;
    }
    return 'waited';
  }

  /** Once a second: jobs, lag, added partitions, and whether a drained stream is done. */
  private async hasEnded(reader: InboxReader): Promise<boolean> {
    const now = performance.now();
    const isDraining = this.lease.stream.state === 'draining';
    if (now - this.lookedAt < (isDraining ? SLOT_POLL_MS : LOOK_EVERY_MS)) return false;
    const endsAge = now - this.endsAt;
    // A broker that is away would be waited for here, and nothing could be said of it.
    if (endsAge >= (this.builder.isEmpty ? ENDS_EVERY_MS_IDLE : ENDS_EVERY_MS) && !reader.isSilent)
      await this.measure(reader);
    reader.readFrom(this.position, this.ends);
    await this.passOver(reader);
    this.shown.follow(this.position);
    if (await this.looksAtJobs(true)) return true;
    const { metrics } = this.parts;
    const { oldest } = this;
    const seconds = oldest === null ? 0 : Math.max(0, Date.now() - oldest) / 1_000;
    metrics.lag(this.dataset.name, lagOf(this.position, this.ends), seconds);
    return isDraining && (await this.drained(reader));
  }

  /** @returns whether the stream stands */
  private async looksAtJobs(atOnce = false): Promise<boolean> {
    const now = performance.now();
    if (!atOnce && now - this.lookedAt < LOOK_EVERY_MS) return false;
    this.lookedAt = now;
    const standstill = await this.watch.look(this.lease.stream);
    if (standstill === null) return false;
    await this.stand(standstill);
    return true;
  }

  /** What no reader sees (aborted transactions, markers) is passed without a job. */
  private async passOver(reader: InboxReader): Promise<void> {
    if (!this.builder.isEmpty) return;
    const ahead = Object.entries(reader.next).filter(
      ([partition, { next }]) => next > nextOf(this.position, Number(partition)),
    );
    if (ahead.length === 0) return;
    const moved = ahead.map(([partition, { next }]) => [partition, { ...this.position[partition], next }]);
    this.position = { ...this.position, ...(Object.fromEntries(moved) as StreamPosition) };
    await this.parts.streams.setPosition(this.claim, this.position);
  }

  /** What was there when it was asked for is read: an open range waits for nothing more. */
  private isDrainedOf(reader: InboxReader): boolean {
    const { state, drainTo } = this.lease.stream;
    return state === 'draining' && drainTo !== null && hasReached(reader.next, drainTo);
  }

  private async drained(reader: InboxReader): Promise<boolean> {
    const { drainTo } = this.lease.stream;
    if (drainTo === null) {
      if (reader.isSilent) return false;
      await this.measure(reader);
      reader.readFrom(this.position, this.ends);
      const target = Object.fromEntries(this.ends.map(({ partition, high }) => [partition, { next: high }]));
      await this.parts.streams.setDrainTo(this.claim, target);
      await this.lease.look();
      return false;
    }
    if (!this.isDrainedOf(reader) || !this.builder.isEmpty || this.watch.jobsInFlight > 0) return false;
    if (!(await this.parts.streams.stop(this.claim, drainTo))) return false;
    this.log.info('stream drained');
    return true;
  }

  /** Says so when it takes longer than brokers take that are there (SR3): kafkajs repeats what fails, for minutes. */
  private async answered<T>(question: Promise<T>): Promise<T> {
    const end = new AbortController();
    const late = delay(LONGEST_ANSWER_MS, undefined, { signal: end.signal }).then(
      () => this.waitsForBrokers(),
      () => undefined,
    );
    try {
      return await question;
    } finally {
      end.abort();
      await late;
    }
  }

  private async measure(reader: InboxReader): Promise<void> {
    this.ends = await this.answered(reader.ends());
    this.endsAt = performance.now();
  }

  /** Time of the oldest message that is not visible yet. */
  private get oldest(): number | null {
    const times = [this.builder.oldest, this.watch.oldest].filter((time) => time !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  private newBuilder(): RangeBuilder<InboxMessage> {
    return new RangeBuilder(this.lease.stream, (partition) => nextOf(this.position, partition));
  }

  /** @returns false for what passes, or may pass, by itself */
  private async hasToStand(error: unknown): Promise<boolean> {
    if (error instanceof OffsetOutOfRange) {
      this.log.warn(error.message);
      return false;
    }
    if (isServerAway(error)) {
      await this.waitsFor('SERVER_AWAY', messageOf(error));
      return false;
    }
    const isKnown = error instanceof SluiceError && !error.retryable && error.code !== 'INTERNAL';
    this.log.warn({ err: error }, 'the stream met an error');
    if (!isKnown && this.countFault() < MAX_FAULTS) return false;
    const isMissing = isKnown && error.code === 'TOPIC_MISSING';
    const { code, message, action } = isKnown
      ? error
      : new SluiceError('STREAM_FAULT', `The stream failed ${this.faults} times: ${messageOf(error)}`);
    await this.stand({ reason: isMissing ? 'inbox' : 'fault', detail: { code, message, action } });
    return true;
  }

  /** Ranges that are taken between two faults say nothing: what fails may come behind them. */
  private countFault(): number {
    const now = performance.now();
    this.faults = now - this.faultAt > FAULTS_WITHIN_MS ? 1 : this.faults + 1;
    this.faultAt = now;
    return this.faults;
  }

  /** Pauses the stream; without effect when it is not ours any more. */
  private async stand({ reason, detail }: Standstill): Promise<void> {
    this.log.error({ reason, code: detail.code }, `paused: ${detail.message}`);
    for (let attempt = 1; !this.signal.aborted; attempt++) {
      try {
        await this.parts.streams.stand(this.claim, reason, detail);
        return;
      } catch (error) {
        this.log.warn(`the pause could not be written: ${messageOf(error)}`);
        await this.backOff(attempt);
      }
    }
  }

  /** Says so in the row; beside the work, which does not fail with it. */
  private async waitsFor(code: null): Promise<void>;
  private async waitsFor(
    code: 'SERVER_AWAY' | 'DATASET_HELD' | 'JOBS_IN_FLIGHT',
    message: string,
  ): Promise<void>;
  private async waitsFor(
    code: 'SERVER_AWAY' | 'DATASET_HELD' | 'JOBS_IN_FLIGHT' | null,
    message = '',
  ): Promise<void> {
    if (code === null && !this.isWaiting) return;
    try {
      await this.parts.streams.declareWait(this.dataset.name, code === null ? null : { code, message });
      this.isWaiting = code !== null;
    } catch (error) {
      this.log.warn(`what the stream waits for cannot be written: ${messageOf(error)}`);
    }
  }

  private async waitsForBrokers(): Promise<void> {
    await this.waitsFor('SERVER_AWAY', `Kafka does not answer: ${this.topic} is not read.`);
  }

  private async backOff(attempt: number): Promise<void> {
    await this.pause(Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** (attempt - 1)));
  }

  private async pause(ms: number): Promise<void> {
    // An abort ends the wait; the caller looks for it.
    await delay(ms, undefined, { signal: this.signal }).catch(() => undefined);
  }
}
