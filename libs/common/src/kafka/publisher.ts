import type { Kafka, Producer } from 'kafkajs';
import { SluiceError, messageOf } from '../errors/sluice-error.js';
import { brokerErrorCode } from './kafka-errors.js';
import { groupsWithin } from './message-groups.js';
import type { OutgoingMessage } from './message.js';
import { keyPartitioner } from './partitioner.js';

/** A request is closed when it holds this much; one larger message travels alone. */
const MAX_REQUEST_BYTES = 1024 * 1024;

/**
 * Sends messages and resolves when the brokers have them all.
 *
 * Deliberately a plain producer with `acks: -1` and several requests in flight, not an idempotent one:
 * kafkajs's idempotent producer loses messages silently when a response is lost and more than one send
 * is outstanding (DESIGN section 3). A repeat is harmless, every message has a natural id.
 */
export class Publisher {
  private readonly producer: Producer;
  private connecting: Promise<void> | null = null;

  constructor(kafka: Kafka) {
    this.producer = kafka.producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      createPartitioner: keyPartitioner,
    });
  }

  /**
   * @throws SluiceError BROKER_UNAVAILABLE when the brokers did not acknowledge in time: the messages may
   * be there or not, so send them again
   * @throws SluiceError MESSAGE_TOO_LARGE, TOPIC_MISSING, BROKER_FAULT: somebody has to look (kafka-errors.ts)
   */
  async send(messages: readonly OutgoingMessage[]): Promise<void> {
    await Promise.all(requestsOf(messages).map((request) => this.sendRequest(request)));
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

  private async sendRequest(messages: readonly OutgoingMessage[]): Promise<void> {
    const byTopic = new Map<string, OutgoingMessage[]>();
    for (const message of messages) {
      const all = byTopic.get(message.topic);
      if (all) all.push(message);
      else byTopic.set(message.topic, [message]);
    }
    try {
      await this.connected();
      await this.producer.sendBatch({
        acks: -1,
        topicMessages: [...byTopic].map(([topic, all]) => ({
          topic,
          messages: all.map(({ key, value, headers, partition }) => ({
            key,
            value,
            headers,
            ...(partition === undefined ? {} : { partition }),
          })),
        })),
      });
    } catch (error) {
      throw publishError(error, [...byTopic.keys()]);
    }
  }
}

/** Consecutive messages up to MAX_REQUEST_BYTES together: kafkajs itself never splits a request. */
export function requestsOf(messages: readonly OutgoingMessage[]): OutgoingMessage[][] {
  const bounds = { maxGroupBytes: MAX_REQUEST_BYTES, maxGroupMessages: Infinity };
  return groupsWithin(messages, bounds, ({ value }) => value.length);
}

function publishError(error: unknown, topics: readonly string[]): SluiceError {
  return new SluiceError(
    brokerErrorCode(error),
    `Publishing to ${topics.join(', ')} failed: ${messageOf(error)}`,
    {},
    { cause: error },
  );
}
