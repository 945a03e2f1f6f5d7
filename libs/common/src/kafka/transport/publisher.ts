import { Inject, Injectable } from '@nestjs/common';
import type { ICustomPartitioner, IHeaders, Kafka, Producer, RecordMetadata } from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import { brokerErrorCode, brokerErrorText } from '../client/kafka-errors.js';
import { keyPartitioner } from '../client/partitioner.js';
import type { MessageBody } from '../client/produce-request.js';
import {
  type MeasuredMessage,
  type RequestGroup,
  halvesOf,
  messageBytes,
  requestsOf,
} from '../client/request-groups.js';
import { KAFKA } from '../../providers/tokens.js';
import { MAX_MESSAGE_BYTES, type SendableMessage } from '../message.js';
import { PartitionCounts, maxMessageBytesOf } from './topics-admin.js';

/** Encoded and not yet acknowledged: the limit of one call, and that of all calls of a process together. */
const MAX_CALL_BYTES = 4 * 1024 * 1024;
const MAX_PROCESS_BYTES = 16 * 1024 * 1024;
/** How often a partition that the metadata do not know is looked up again, and an answer that lacks one asked again. */
const MAX_LOOKS = 3;
/** Partitions may be added at any time: keys are spread over them after this time at the latest. */
const METADATA_MAX_AGE_MS = 30_000;

/**
 * Sends messages and resolves when the brokers have them all.
 *
 * Deliberately a plain producer with `acks: -1` and several requests in flight, not an idempotent one:
 * kafkajs's idempotent producer loses messages silently when a response is lost and more than one send
 * is outstanding (docs/guarantees.md, G4). A repeat is harmless, every message has a natural id.
 *
 * - PU1 (G4): a call resolves only when the brokers' answers name every partition that was asked for. kafkajs leaves
 *   out partitions that it has no metadata of, and those whose leader moved to a broker that has answered already.
 * - PU2 (G9): messages are taken from the caller request by request, measured as they travel, and what is in flight is
 *   bounded in bytes, by call and by process.
 * - PU3: a message keeps the partition that it was given first: kafkajs asks again at each of its own tries, and
 *   a topic that has grown in between would move it to a broker that is thought to have it.
 */
@Injectable()
export class Publisher {
  private readonly producer: Producer;
  private readonly gate = new ByteGate(MAX_PROCESS_BYTES);
  private readonly counts: PartitionCounts;
  private connecting: Promise<void> | null = null;

  constructor(@Inject(KAFKA) private readonly kafka: Kafka) {
    this.counts = new PartitionCounts(kafka);
    this.producer = kafka.producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      createPartitioner: knownPartitioner,
    });
  }

  /**
   * @param messages taken lazily: a generator may encode each when it is asked for
   * @throws SluiceError BROKER_UNAVAILABLE when the brokers did not acknowledge in time: the messages may
   * be there or not, so send them again
   * @throws SluiceError MESSAGE_TOO_LARGE, TOPIC_MISSING, PARTITION_MISSING, BROKER_FAULT: it does not pass by itself
   * (kafka-errors.ts). Others of the messages may have arrived.
   */
  async send(messages: Iterable<SendableMessage>): Promise<void> {
    const own = new ByteGate(MAX_CALL_BYTES);
    const underWay = new Set<Promise<void>>();
    const failures: unknown[] = [];
    try {
      for (const request of requestsOf(messages)) {
        // The next request is made only when this one has its place, so what waits is not encoded either.
        const leave = await own.enter(request.bytes);
        const sent: Promise<void> = this.gate
          .within(request.bytes, () => this.sendRequest(request))
          .catch((error: unknown) => {
            failures.push(error);
          })
          .finally(() => {
            leave();
            underWay.delete(sent);
          });
        underWay.add(sent);
        if (failures.length > 0) break;
      }
    } finally {
      await Promise.all(underWay);
    }
    if (failures.length > 0) throw failures[0] as Error;
  }

  /**
   * Number of partitions that the topic has: for a caller that chooses one. It may be half a minute old, which a topic
   * that grows does not mind; a send to a partition that is not there makes it look again.
   * @throws SluiceError TOPIC_MISSING, BROKER_FAULT, BROKER_UNAVAILABLE when it was never known
   */
  async partitionsOf(topic: string): Promise<number> {
    return this.counts.of(topic);
  }

  async disconnect(): Promise<void> {
    await this.producer.disconnect();
  }

  /** Connects with the first message, so that a service starts while the brokers are still away. */
  private async connected(): Promise<void> {
    this.connecting ??= this.producer.connect();
    try {
      await this.connecting;
    } catch (error) {
      this.connecting = null;
      throw error;
    }
  }

  /** A topic whose limit is smaller than a request takes the messages in smaller ones. */
  private async sendRequest(request: RequestGroup): Promise<void> {
    const [first] = request.messages;
    if (first && request.messages.length === 1 && request.bytes > MAX_MESSAGE_BYTES)
      throw tooLarge(first, MAX_MESSAGE_BYTES);
    try {
      await this.sendWhole(request.messages);
    } catch (error) {
      for (const { message } of request.messages) this.counts.forget(message.topic);
      if (brokerErrorCode(error) !== 'MESSAGE_TOO_LARGE') throw publishError(error, request.messages);
      if (first && request.messages.length === 1) {
        throw tooLarge(
          first,
          await maxMessageBytesOf(this.kafka, first.message.topic).catch(() => null),
          error,
        );
      }
      for (const half of halvesOf(request)) await this.sendRequest(half);
    }
  }

  /** PU1. Only what is missing is sent again. */
  private async sendWhole(messages: readonly MeasuredMessage[]): Promise<void> {
    let missing = messages.map(toSend);
    for (let look = 1; missing.length > 0; look++) {
      await this.connected();
      const answer = await this.producer.sendBatch({ acks: -1, topicMessages: byTopic(missing) });
      const answered = new Set(answer.map(placeOf));
      missing = missing.filter(({ topic, sent }) => !answered.has(`${topic}/${sent.given}`));
      if (missing.length > 0 && look === MAX_LOOKS) {
        const places = new Set(missing.map(({ topic, sent }) => `${topic}/${sent.given}`));
        throw new SluiceError(
          'BROKER_FAULT',
          `The brokers acknowledged nothing for ${[...places].join(', ')}; the messages for it were sent again.`,
        );
      }
    }
  }
}

/**
 * Lets work begin while what is under way stays within a number of bytes; the rest waits, first come first served.
 * One piece that is larger than the whole bound goes alone: it must be done some time.
 */
class ByteGate {
  private held = 0;
  private readonly waiting: { readonly bytes: number; readonly enter: () => void }[] = [];

  constructor(private readonly maxBytes: number) {}

  /** Runs `work` when there is room for it. */
  async within<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const leave = await this.enter(bytes);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** @returns what has to be called, once, when it is done */
  async enter(bytes: number): Promise<() => void> {
    if (this.waiting.length === 0 && this.hasRoomFor(bytes)) this.held += bytes;
    else await new Promise<void>((enter) => this.waiting.push({ bytes, enter }));
    return () => {
      this.leave(bytes);
    };
  }

  private leave(bytes: number): void {
    this.held -= bytes;
    for (let next = this.waiting[0]; next && this.hasRoomFor(next.bytes); next = this.waiting[0]) {
      this.waiting.shift();
      this.held += next.bytes;
      next.enter();
    }
  }

  private hasRoomFor(bytes: number): boolean {
    return this.held === 0 || this.held + bytes <= this.maxBytes;
  }
}

/** A message as kafkajs takes it, and the partition that it was given (PU3). */
interface SentMessage {
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
  readonly body: MessageBody;
  given: number | undefined;
  /** How often the metadata of the topic did not contain it. */
  looks: number;
}

interface ToSend {
  readonly topic: string;
  readonly sent: SentMessage;
}

function toSend({ message, body }: MeasuredMessage): ToSend {
  const { topic, key, value, partition } = message;
  // kafkajs only reads them, whatever its types say.
  const headers = message.headers as IHeaders;
  return { topic, sent: { key, value, headers, body, given: partition, looks: 0 } };
}

function byTopic(messages: readonly ToSend[]): { topic: string; messages: SentMessage[] }[] {
  const topics = new Map<string, SentMessage[]>();
  for (const { topic, sent } of messages) {
    const all = topics.get(topic);
    if (all) all.push(sent);
    else topics.set(topic, [sent]);
  }
  return [...topics].map(([topic, all]) => ({ topic, messages: all }));
}

function placeOf({ topicName, partition }: RecordMetadata): string {
  return `${topicName}/${partition}`;
}

/**
 * PU3, and the first half of PU1: a partition that the metadata do not know makes kafkajs fetch them again, as it does
 * for a topic without any; after MAX_LOOKS it is not there.
 */
const knownPartitioner: ICustomPartitioner = () => {
  const byKey = keyPartitioner();
  return (args) => {
    const { topic, partitionMetadata } = args;
    const message = args.message as unknown as SentMessage;
    message.given ??= byKey(args);
    const { given } = message;
    if (partitionMetadata.some(({ partitionId }) => partitionId === given)) return given;
    message.looks += 1;
    if (message.looks < MAX_LOOKS) throw new UnknownPartition();
    throw new SluiceError(
      'PARTITION_MISSING',
      `Topic ${topic} has ${partitionMetadata.length} partitions, and a message is for partition ${given}.`,
    );
  };
};

/** By this name kafkajs fetches the metadata again, and tries again. */
class UnknownPartition extends Error {
  override readonly name = 'KafkaJSMetadataNotLoaded';
  readonly retriable = true;
}

function tooLarge(measured: MeasuredMessage, limit: number | null, cause?: unknown): SluiceError {
  const { topic } = measured.message;
  const most =
    limit === null ? 'its max.message.bytes' : `the ${limit} bytes that it takes (max.message.bytes)`;
  return new SluiceError(
    'MESSAGE_TOO_LARGE',
    `A message of ${messageBytes(measured)} bytes for topic ${topic} is above ${most}.`,
    {},
    { cause },
  );
}

function publishError(error: unknown, messages: readonly MeasuredMessage[]): SluiceError {
  if (error instanceof SluiceError) return error;
  const topics = [...new Set(messages.map(({ message }) => message.topic))];
  return new SluiceError(
    brokerErrorCode(error),
    `Publishing to ${topics.join(', ')} failed: ${brokerErrorText(error, { operation: 'WRITE', topic: topics.join(', ') })}`,
    {},
    { cause: error },
  );
}
