import { setTimeout as delay } from 'node:timers/promises';
import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { isObservable, lastValueFrom } from 'rxjs';
import { SluiceError, codeOf, messageOf } from '../../errors/sluice-error.js';
import {
  type BrokerFaultKind,
  brokerErrorCode,
  brokerErrorText,
  classifyBrokerError,
} from '../client/kafka-errors.js';
import { bytesOnTheWay } from '../client/produce-request.js';
import { undecodableOf } from '../client/record-batches.js';
import { backoffOf } from './backoff.js';
import type { Delivery } from './batch-handler.decorator.js';
import { ConsumerHealth } from './consumer-health.js';
import { ConsumerMetrics } from './consumer.metrics.js';
import {
  assertSent,
  FaultCounts,
  faultReason,
  firstOf,
  type GroupBounds,
  groupsWithin,
  isMessageFault,
  lastOf,
  toIncoming,
} from './fetched-messages.js';
import type { MessageParking } from './message-parking.js';
import { countPartitions, findUnfitTopics } from './topics-admin.js';

/**
 * The batch transport: one Nest transport strategy over kafkajs `eachBatch`.
 *
 * A stage is an ordinary Nest handler (`@BatchHandler('raw')`) that gets consecutive messages of one
 * partition. Everything about offsets, heartbeats, pausing and draining lives here.
 *
 * Invariants
 * - BS1 (G4): an offset is committed only after the handler's promise for that message has resolved.
 * - BS2: messages of one partition are delivered in order, one group at a time.
 * - BS3: a rejected promise pauses the partition and delivers the same messages again after a back-off, for as
 *   long as it takes; other partitions are handled in the meantime.
 * - BS7: a delivery that has failed MAX_FAULTS times by what may be a message's fault (fetched-messages.ts; never a wait,
 *   never what brokers, database or permissions refuse: G10) is delivered message by message, and the one that
 *   fails alone is parked with its reason. So no message blocks its partition for good.
 * - BS4: heartbeats go out while a handler reports progress, and stop `maxSilenceMs` after its last one,
 *   so a hung handler loses its partitions.
 * - BS5: a handler that asked for a rest gets nothing more of that partition before the rest is over; what it has done
 *   is committed first, and other partitions continue.
 * - BS6: a process whose consumer kafkajs has ended for good never stays alive without one. When its error means that
 *   brokers are down or moving, or that a right or a setting is missing (`wait` and `setup` of kafka-errors.ts), it is
 *   started again, as a declared wait that names what is missing, for as long as it takes and seldom where a login is
 *   refused (backoff.ts); any other error ends the process (`onFatal`).
 * - BS8: no run is left behind. kafkajs stops a run that has joined its group and forgets one that is joining, which then
 *   keeps reading; a run that it restarts by itself is out of our control. So it restarts none, and closing lets a join
 *   end first; one that takes longer is cut off, and does not become a run.
 */
export interface BatchServerOptions extends GroupBounds {
  readonly kafka: Kafka;
  readonly groupId: string;
  /** Topics of each kind that a handler may ask for. */
  readonly topics: Readonly<Record<string, readonly string[]>>;
  /** Partitions worked on side by side. */
  readonly concurrentPartitions: number;
  readonly maxBytesPerPartition: number;
  /**
   * Messages are gathered until they have `minBytes`, or for `maxWaitMs`: for a handler whose work costs more per delivery
   * than per message. Absent: delivered as they come.
   */
  readonly gather?: { readonly minBytes: number; readonly maxWaitMs: number };
  /** The topics must take messages of this size; a topic that does not is reported at the start. */
  readonly maxMessageBytes: number;
  readonly sessionTimeoutMs: number;
  /** Takes messages that fail alone (BS7). */
  readonly parking: MessageParking;
  /** Takes the metrics of the group. */
  readonly registry: Registry;
  readonly logger: Logger;
  readonly onFatal: (error: Error) => void;
}

/** Heartbeats in a session: Kafka advises at least three. */
const HEARTBEATS_A_SESSION = 10;
/** Closing waits for a join at most this long: a service that is stopped has only some seconds. */
const JOINS_A_SESSION = 3;
const REBALANCE_TIMEOUT_MS = 60_000;
/** A handler that has reported no progress for this long is considered hung (BS4): longer than any single statement. */
const MAX_SILENCE_MS = 120_000;
/** The broker answers an idle fetch after this: how long draining, and a partition whose rest is over, may have to wait. */
const MAX_WAIT_MS = 1_000;
/** Partitions that are added to a topic are read after this time at the latest; kafkajs would ignore them for five minutes. */
const METADATA_MAX_AGE_MS = 10_000;
/** BS6. */
const WAITED_FOR: ReadonlySet<BrokerFaultKind> = new Set(['wait', 'setup']);

export class BatchServer extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol('kafka-batches');
  /** Failures are rethrown by `BatchHandler`'s filter and end in `onTrouble`. */
  override readonly propagatesEventHandlerErrors = true;
  readonly health = new ConsumerHealth(MAX_SILENCE_MS);
  private readonly metrics: ConsumerMetrics;
  private readonly consumer: Consumer;
  private readonly kindOfTopic = new Map<string, string>();
  private readonly attempts = new Map<string, number>();
  private readonly faults = new FaultCounts();
  /** Counts our joins: work from before the last one may now belong to another consumer, or be done. */
  private generation = 0;
  private readonly resumeTimers = new Set<NodeJS.Timeout>();
  /** Runs that kafkajs has ended since the last commit: a delivery may be what ends each of them, so a join is not enough. */
  private endedRuns = 0;
  private closing = false;
  /** The latest run's join; kept once it has joined, or has ended without. */
  private joining: Promise<void> = Promise.resolve();
  /** Whether kafkajs would have begun the run that it ends now again. */
  private isRestartable = false;
  /** BS8: closing waits for no join any more. */
  private isCut = false;

  constructor(private readonly options: BatchServerOptions) {
    super();
    this.metrics = new ConsumerMetrics(options.registry, options.groupId);
    this.consumer = options.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      heartbeatInterval: options.sessionTimeoutMs / HEARTBEATS_A_SESSION,
      maxBytesPerPartition: options.maxBytesPerPartition,
      maxBytes: options.maxBytesPerPartition * Math.max(2, options.concurrentPartitions),
      minBytes: options.gather?.minBytes ?? 1,
      maxWaitTimeInMs: options.gather?.maxWaitMs ?? MAX_WAIT_MS,
      allowAutoTopicCreation: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      // Bounded: what is given up is a CRASH event, which declares the wait or ends the process (BS6).
      retry: {
        ...{ initialRetryTime: 200, maxRetryTime: 5_000, retries: 12 },
        restartOnFailure: () => {
          this.isRestartable = true;
          return Promise.resolve(false);
        },
      },
    });
  }

  listen(callback: (error?: unknown) => void): void {
    this.start().then(
      () => {
        callback();
      },
      (error: unknown) => {
        callback(error);
      },
    );
  }

  /** Stops fetching, lets running handlers finish and commit, then leaves the group. */
  async close(): Promise<void> {
    this.closing = true;
    this.forgetPauses();
    await this.joinedInTime();
    await this.consumer.stop();
    const disconnected = this.consumer.disconnect();
    // kafkajs closes no connection before the answer that it waits for.
    if (this.isCut) disconnected.catch(() => undefined);
    else await disconnected;
  }

  /** BS8. */
  private async joinedInTime(): Promise<void> {
    const patience = new AbortController();
    const cut = delay(this.options.sessionTimeoutMs / JOINS_A_SESSION, undefined, {
      signal: patience.signal,
    }).then(
      () => {
        this.isCut = true;
      },
      () => undefined,
    );
    await Promise.race([this.joining, cut]);
    patience.abort();
  }

  on(): never {
    throw new SluiceError('INTERNAL', 'The batch transport has no events; look at its health.');
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- Nest's own signature
  unwrap<T>(): T {
    return this.consumer as T;
  }

  private async start(): Promise<void> {
    const { CRASH, GROUP_JOIN, FETCH, END_BATCH_PROCESS } = this.consumer.events;
    const topics = this.topicsWithHandlers();
    // Here and not in `run`: listeners outlive a run, and each of two would start the consumer again.
    this.consumer.on(CRASH, ({ payload: { error } }) => {
      this.health.left();
      this.forgetPauses();
      const { isRestartable } = this;
      this.isRestartable = false;
      if (this.closing) return;
      if (isRestartable || WAITED_FOR.has(classifyBrokerError(error))) {
        this.serveAgain(topics, error).catch((failure: unknown) => {
          if (!this.closing) this.options.onFatal(asError(failure));
        });
      } else this.options.onFatal(error);
    });
    this.consumer.on(GROUP_JOIN, () => {
      // BS8: kafkajs ends a join whose listener throws, and there is no other way to end one.
      if (this.isCut) throw new SluiceError('INTERNAL', 'The consumer is closed.');
      this.generation += 1;
      this.options.parking.sharedOut();
      this.health.joined();
      this.metrics.joined();
    });
    this.consumer.on(FETCH, () => {
      this.health.fetched();
    });
    this.consumer.on(END_BATCH_PROCESS, ({ payload: { batchSize, topic, partition, ...offsets } }) => {
      // Of marks of transactions alone: kafkajs hands it to no one. It has no time of its own.
      if (batchSize > 0) return;
      const next = BigInt(offsets.lastOffset) + 1n;
      this.metrics.reached(topic, partition, next, BigInt(offsets.highWatermark), Date.now());
    });
    await this.subscribeWhenReachable(topics);
    await this.run();
  }

  /**
   * BS6. kafkajs has stopped and disconnected the consumer before it reports the crash, so a new run is needed. One run
   * crashes once: a crash while this one joins comes when its run is over, and calls this method again.
   */
  private async serveAgain(topics: readonly string[], error: Error): Promise<void> {
    this.endedRuns += 1;
    const backoffMs = backoffOf(this.endedRuns, error);
    const reason = this.textOf(error);
    this.log(error, { backoffMs }, `the consumer has ended and is started again: ${reason}`);
    this.health.waiting('brokers', reason, backoffMs);
    await delay(backoffMs);
    await this.subscribeWhenReachable(topics);
    // Declared until it has joined: a join may take longer than the limit for fetching.
    this.health.waiting('brokers', reason, 0);
    await this.run();
  }

  private async run(): Promise<void> {
    if (this.closing) {
      // It may have connected after `close` had disconnected it.
      await this.consumer.disconnect();
      return;
    }
    const run = this.consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: this.options.concurrentPartitions,
      eachBatch: (payload) => this.takeBatch(payload),
    });
    this.joining = run.catch(() => undefined);
    await run;
  }

  /** Waits for brokers that are not up yet or go down in the meantime: only missing topics end a start. */
  private async subscribeWhenReachable(topics: readonly string[]): Promise<void> {
    for (let attempt = 1; !this.closing; attempt++) {
      try {
        await this.consumer.connect();
        await countPartitions(this.options.kafka, topics, 'READ');
        await this.reportUnfitTopics(topics);
        // kafkajs resets an expired offset to *latest*, silently, unless `fromBeginning` is set.
        await this.consumer.subscribe({ topics: [...topics], fromBeginning: true });
        this.health.recovered('brokers');
        return;
      } catch (error) {
        await this.consumer.disconnect();
        if (error instanceof SluiceError && error.code === 'TOPIC_MISSING') throw error;
        const backoffMs = backoffOf(attempt, error);
        const reason = this.textOf(error);
        this.log(error, { attempt, backoffMs }, `waiting for the brokers: ${reason}`);
        this.health.waiting('brokers', reason, backoffMs);
        await delay(backoffMs);
      }
    }
  }

  private textOf(error: unknown): string {
    const topic = [...this.kindOfTopic.keys()].join(', ');
    return brokerErrorText(error, { operation: 'READ', topic, group: this.options.groupId });
  }

  /** What an operator must fix is an error; outages are not. */
  private log(error: unknown, facts: object, text: string): void {
    const isOutage = brokerErrorCode(error) === 'BROKER_UNAVAILABLE';
    this.options.logger[isOutage ? 'warn' : 'error'](facts, text);
  }

  /** An error that does not end the process: most messages are small and not compressed, and correcting it needs no restart. */
  private async reportUnfitTopics(topics: readonly string[]): Promise<void> {
    const { kafka, maxMessageBytes, logger } = this.options;
    try {
      for (const unfit of await findUnfitTopics(kafka, topics, maxMessageBytes)) logger.error(unfit);
    } catch (error) {
      logger.warn(`the topics' settings could not be checked: ${messageOf(error)}`);
    }
  }

  /** A subscribed topic without a handler would lose its messages, and a handler without topics would idle. */
  private topicsWithHandlers(): string[] {
    const handled = new Set(this.messageHandlers.keys());
    for (const [kind, topics] of Object.entries(this.options.topics)) {
      if (!handled.has(kind))
        throw new SluiceError('INTERNAL', `No handler takes topics of the kind "${kind}".`);
      for (const topic of topics) this.kindOfTopic.set(topic, kind);
    }
    for (const kind of handled) {
      if (!(kind in this.options.topics))
        throw new SluiceError('INTERNAL', `The handler of "${kind}" has no topics.`);
    }
    return [...this.kindOfTopic.keys()];
  }

  private async takeBatch(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages } = payload.batch;
    const [first] = messages;
    if (first !== undefined) this.metrics.delivering(payload.batch, first);
    const source = `${topic}/${partition}`;
    for (const group of groupsWithin(messages, this.options, bytesOnTheWay)) {
      const isSuspect = this.faults.isExhausted(source, firstOf(group).offset);
      const deliveries = isSuspect ? group.map((message) => [message]) : [group];
      for (const delivery of deliveries) {
        if (!payload.isRunning() || payload.isStale() || this.closing) return;
        if (!(await this.handAndCommit(payload, delivery, isSuspect))) return;
      }
      this.faults.forget(source);
    }
  }

  /**
   * @param isAlone whether the group is one message that failed, or stood beside one that did (BS7)
   * @returns whether the next group may be handed over
   */
  private async handAndCommit(
    payload: EachBatchPayload,
    group: readonly KafkaMessage[],
    isAlone: boolean,
  ): Promise<boolean> {
    const { topic, partition } = payload.batch;
    const source = `${topic}/${partition}`;
    const { generation } = this;
    let outcome: Outcome;
    try {
      outcome = isAlone ? await this.handOrPark(payload, group) : await this.hand(payload, group);
      if (!outcome.isDone) return false;
    } catch (error) {
      this.faults.failed(source, firstOf(group).offset, error);
      this.onTrouble(payload, source, error, generation);
      return false;
    }
    this.attempts.delete(source);
    this.health.recovered(source);
    await commit(payload, lastOf(group));
    this.endedRuns = 0;
    if (generation === this.generation) this.metrics.handled(payload.batch, lastOf(group));
    this.options.parking.committed({ topic, partition, offset: lastOf(group).offset });
    if (outcome.restMs === 0) return true;
    this.pauseFor(payload, outcome.restMs);
    return false;
  }

  /** BS7. */
  private async handOrPark(payload: EachBatchPayload, group: readonly KafkaMessage[]): Promise<Outcome> {
    try {
      return await this.hand(payload, group);
    } catch (error) {
      if (!isMessageFault(error)) throw error;
      const { topic, partition } = payload.batch;
      const place = { topic, partition, offset: firstOf(group).offset };
      await this.options.parking.park([{ place, reason: faultReason(error) }]);
      return { isDone: true, restMs: 0 };
    }
  }

  /** What cannot be decoded is parked first (G4), and the others are handed over without it. */
  private async hand(payload: EachBatchPayload, fetched: readonly KafkaMessage[]): Promise<Outcome> {
    const { topic, partition } = payload.batch;
    assertSent(topic, partition, fetched);
    const group = fetched.filter((message) => undecodableOf(message) === null);
    await this.options.parking.park(
      fetched.flatMap((message) => {
        const undecodable = undecodableOf(message);
        if (undecodable === null) return [];
        return { place: { topic, partition, offset: undecodable.firstOffset }, reason: undecodable.reason };
      }),
    );
    if (group.length === 0) return { isDone: true, restMs: 0 };
    const handler = this.messageHandlers.get(this.kindOfTopic.get(topic) ?? '');
    if (!handler) throw new SluiceError('INTERNAL', `No handler for topic ${topic}.`);
    const work = this.health.begin();
    let lost = false;
    let wasToldToStop = false;
    let restMs = 0;
    const heartbeat = setInterval(() => {
      if (!work.isSilent()) {
        payload.heartbeat().catch(() => {
          lost = true;
        });
      }
    }, this.options.sessionTimeoutMs / HEARTBEATS_A_SESSION);
    const delivery: Delivery = {
      topic,
      partition,
      messages: group.map((message) => toIncoming(topic, partition, message)),
      progress: () => {
        work.progress();
      },
      isStale: () => {
        wasToldToStop ||= lost || payload.isStale() || !payload.isRunning();
        return wasToldToStop;
      },
      writtenAt: Number(group[0]?.timestamp),
      rest: (askedMs) => {
        restMs = askedMs;
      },
    };
    try {
      const result: unknown = await handler(delivery);
      if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
      return { isDone: !wasToldToStop, restMs };
    } finally {
      clearInterval(heartbeat);
      work.end();
    }
  }

  /** BS3. A fault that is not known to pass by itself is logged as an error: an operator must act. */
  private onTrouble(payload: EachBatchPayload, source: string, error: unknown, generation: number): void {
    const attempt = (this.attempts.get(source) ?? 0) + 1;
    this.attempts.set(source, attempt);
    const backoffMs = backoffOf(attempt, error);
    const retryable = error instanceof SluiceError && error.retryable;
    const code = codeOf(error);
    this.metrics.retried(code);
    const facts = { source, attempt, backoffMs, code };
    if (retryable) this.options.logger.warn(facts, `waiting: ${messageOf(error)}`);
    else this.options.logger.error({ ...facts, err: error }, `stuck: ${messageOf(error)}`);
    if (generation === this.generation) this.health.waiting(source, messageOf(error), backoffMs);
    this.pauseFor(payload, backoffMs);
  }

  private pauseFor(payload: EachBatchPayload, pauseMs: number): void {
    const resume = payload.pause();
    const timer = setTimeout(() => {
      this.resumeTimers.delete(timer);
      resume();
    }, pauseMs);
    this.resumeTimers.add(timer);
  }

  /** A run that begins has no paused partitions, and a timer of the former one would end another pause too early. */
  private forgetPauses(): void {
    for (const timer of this.resumeTimers) clearTimeout(timer);
    this.resumeTimers.clear();
  }
}

interface Outcome {
  /** False when the handler has learned that the partition is lost, and so may have left messages out (BS1). */
  readonly isDone: boolean;
  /** Above 0 when the handler has asked for a rest (BS5). */
  readonly restMs: number;
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new SluiceError('INTERNAL', messageOf(thrown));
}

/**
 * Commits offset + 1: Kafka's committed offset is the next one to read. kafkajs continues from what is resolved, so that
 * comes after: otherwise what could not be committed would stay uncommitted until the next message of its partition.
 */
async function commit(payload: EachBatchPayload, last: KafkaMessage): Promise<void> {
  const { topic, partition } = payload.batch;
  const next = (BigInt(last.offset) + 1n).toString();
  await payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: next }] }] });
  payload.resolveOffset(last.offset);
}
