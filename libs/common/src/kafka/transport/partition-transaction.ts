import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka, Producer, Transaction } from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import { brokerErrorCode, brokerErrorText } from '../client/kafka-errors.js';
import { requestsOf } from '../client/request-groups.js';
import type { SendableMessage } from '../message.js';
import { TopicReader } from './topic-reader.js';

/** Messages without a topic and a place: the transaction has both. */
export type TransactionMessage = Omit<SendableMessage, 'topic' | 'partition'>;

export interface TransactionPlace {
  readonly topic: string;
  readonly partition: number;
  /** One sender at a time has it: a second one fences the first, and ends its open transaction. */
  readonly transactionalId: string;
}

/** The offsets of a transaction's messages: [from, to). */
export interface SentRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Brokers end a transaction that is open for longer. Fifteen minutes is the longest that they allow, unless set otherwise
 * (`transaction.max.timeout.ms`); of a sender that has died it keeps readers of committed messages from what is behind it,
 * until the next sender with the same id begins.
 */
const LONGEST_MS = 10 * 60_000;
/** Marks are written within milliseconds, unless a leader is away. */
const LONGEST_WAIT_MS = 30_000;

/**
 * Messages that are appended to one partition in one transaction: readers of committed messages see all of them or none.
 *
 * - PT1: message n of all calls stands at offset `from + n`. It is checked with every acknowledgement, so a foreign message
 *   between them ends the transaction instead of moving what stands behind it.
 * - PT2: requests go one after the other. kafkajs takes a request that failed out of its sequence numbers again, so that
 *   the broker drops a repeat whose answer alone was lost; with several under way it would lose messages (G4).
 * - PT3: `commit` resolves when readers of committed messages see all of them: the brokers answer a commit before they have
 *   written its mark into the partition.
 * - PT4: what is neither committed nor aborted is aborted by the brokers: when the next transaction with the same id
 *   begins, or after ten minutes.
 */
export class PartitionTransaction {
  private range: SentRange | null = null;

  private constructor(
    private readonly kafka: Kafka,
    private readonly producer: Producer,
    private readonly transaction: Transaction,
    private readonly place: TransactionPlace,
  ) {}

  /**
   * From now on every older transaction of the same id is over.
   * @throws SluiceError BROKER_UNAVAILABLE, BROKER_FAULT
   */
  static async begin(kafka: Kafka, place: TransactionPlace): Promise<PartitionTransaction> {
    const producer = kafka.producer({
      transactionalId: place.transactionalId,
      transactionTimeout: LONGEST_MS,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: () => () => place.partition,
    });
    try {
      await producer.connect();
      return new PartitionTransaction(kafka, producer, await producer.transaction(), place);
    } catch (error) {
      await producer.disconnect().catch(() => undefined);
      throw described(error, place);
    }
  }

  /**
   * Appends messages, in their order; one call at a time.
   * @throws SluiceError BROKER_UNAVAILABLE, MESSAGE_TOO_LARGE, TOPIC_MISSING, BROKER_FAULT: the transaction has to be aborted
   */
  async send(messages: readonly TransactionMessage[]): Promise<void> {
    const { topic, partition } = this.place;
    const placed = messages.map(({ key, headers, value }) => ({ key, headers, value, topic, partition }));
    for (const request of requestsOf(placed)) {
      const sent = request.messages.map(({ message: { key, headers, value }, body }) => ({
        key,
        headers,
        value,
        body,
      }));
      const { from, to } = this.range ?? { from: null, to: null };
      const first = await this.sendRequest(sent);
      if (to !== null && first !== to)
        throw new SluiceError(
          'BROKER_FAULT',
          `Messages of one transaction are not in a row: partition ${partition} of topic ${topic} has others at offset ${to}, so another program writes to it.`,
        );
      this.range = { from: from ?? first, to: first + sent.length };
    }
  }

  /** Null before the first message. */
  get sent(): SentRange | null {
    return this.range;
  }

  /**
   * @throws SluiceError BROKER_UNAVAILABLE, BROKER_FAULT: whether the messages are committed is not known then, unless
   * another transaction with the same id has begun: they are not
   */
  async commit(): Promise<void> {
    try {
      await this.transaction.commit();
      await this.untilVisible();
    } catch (error) {
      throw described(error, this.place);
    }
  }

  /** Ends the transaction, if it is still open, and the connection. Never rejects (PT4). */
  async close(): Promise<void> {
    if (this.transaction.isActive()) await this.transaction.abort().catch(() => undefined);
    await this.producer.disconnect().catch(() => undefined);
  }

  /** PT3 */
  private async untilVisible(): Promise<void> {
    const { topic, partition } = this.place;
    if (this.range === null) return;
    const wanted = BigInt(this.range.to);
    const reader = await TopicReader.open(this.kafka, topic, new Map());
    try {
      const endsAt = performance.now() + LONGEST_WAIT_MS;
      for (let pauseMs = 2; ; pauseMs = Math.min(2 * pauseMs, 200)) {
        const end = (await reader.ends()).get(partition);
        if (end !== undefined && end.high >= wanted) return;
        if (performance.now() > endsAt)
          throw new SluiceError(
            'BROKER_UNAVAILABLE',
            `The brokers have committed a transaction, and do not show its messages in partition ${partition} of topic ${topic}.`,
          );
        await delay(pauseMs);
      }
    } finally {
      await reader.close();
    }
  }

  /** @returns the offset of the first one */
  private async sendRequest(messages: readonly TransactionMessage[]): Promise<number> {
    const { topic, partition } = this.place;
    try {
      const answer = await this.transaction.sendBatch({
        acks: -1,
        // kafkajs only reads them, whatever its types say.
        topicMessages: [{ topic, messages: messages as never }],
      });
      const offset = answer.find((one) => one.topicName === topic && one.partition === partition)?.baseOffset;
      const first = Number(offset ?? Number.NaN);
      if (Number.isSafeInteger(first) && first >= 0) return first;
      throw new SluiceError(
        'BROKER_FAULT',
        `The brokers acknowledged nothing for partition ${partition} of topic ${topic}.`,
      );
    } catch (error) {
      throw described(error, this.place);
    }
  }
}

function described(error: unknown, { topic, transactionalId }: TransactionPlace): SluiceError {
  if (error instanceof SluiceError) return error;
  const asked = { operation: 'WRITE', topic, transactionalId } as const;
  return new SluiceError(
    brokerErrorCode(error),
    `Publishing to ${topic} in a transaction failed: ${brokerErrorText(error, asked)}`,
    {},
    { cause: error },
  );
}
