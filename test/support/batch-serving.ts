import { randomUUID } from 'node:crypto';
import { Controller, type INestMicroservice, Inject } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { BatchHandler, type Delivery } from '#common/kafka/transport/batch-handler.decorator.js';
import { BatchServer, type BatchServerOptions } from '#common/kafka/transport/batch-server.js';
import {
  MessageParking,
  type ParkedMessage,
  type ReportParked,
} from '#common/kafka/transport/message-parking.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { type TestKafka, startTestKafka } from './kafka.js';

const logger = pino({ level: 'silent' });

/** A topic, a consumer group and batch servers for which a test decides what becomes of a delivery, on a real broker. */
export class ServingHarness {
  /** What the handler does with a delivery; set by each test. */
  onDelivery: (delivery: Delivery) => Promise<void> = () => Promise.resolve();
  reportParked: ReportParked = () => Promise.resolve();
  parked: ParkedMessage[] = [];
  topic = '';
  readonly kafka: Kafka;
  readonly publisher: Publisher;
  /** Of the server that was started last. */
  registry = new Registry();
  private groupId = '';
  private readonly started: INestMicroservice[] = [];

  private constructor(private readonly broker: TestKafka) {
    this.kafka = createKafka({ brokers: broker.brokers, clientId: 'test', logger });
    this.publisher = new Publisher(this.kafka);
  }

  /** @param broker the run's by default */
  static async start(broker = startTestKafka()): Promise<ServingHarness> {
    return new ServingHarness(await broker);
  }

  get brokers(): readonly string[] {
    return this.broker.brokers;
  }

  async stop(): Promise<void> {
    await this.publisher.disconnect();
    await this.broker.stop();
  }

  /** A topic of two partitions and a group, both new. */
  async begin(): Promise<void> {
    this.parked = [];
    this.reportParked = (messages) => {
      this.parked.push(...messages);
      return Promise.resolve();
    };
    this.groupId = `test-${randomUUID()}`;
    await this.makeTopic(2);
  }

  /** The topic from now on. */
  async makeTopic(partitions: number, config: Record<string, string> = {}): Promise<void> {
    this.topic = `test.${randomUUID()}.raw`;
    await createTopics(this.kafka, [{ topic: this.topic, partitions, config }], 1);
  }

  async startServer(maxGroupMessages = 100, change: Partial<BatchServerOptions> = {}): Promise<BatchServer> {
    const server = new BatchServer({
      kafka: this.kafka,
      groupId: this.groupId,
      topics: { raw: [this.topic] },
      concurrentPartitions: 2,
      maxGroupBytes: 1024 * 1024,
      maxGroupMessages,
      maxBytesPerPartition: 1024 * 1024,
      maxMessageBytes: 1024,
      sessionTimeoutMs: 30_000,
      parking: new MessageParking(new Registry(), logger, (messages) => this.reportParked(messages)),
      registry: (this.registry = new Registry()),
      logger,
      onFatal: (error) => {
        throw error;
      },
      ...change,
    });
    const app = await NestFactory.createMicroservice(
      {
        module: ServingModule,
        controllers: [ServingController],
        providers: [{ provide: ServingHarness, useValue: this }],
      },
      { strategy: server, logger: false },
    );
    this.started.push(app);
    await app.listen();
    return server;
  }

  /** The server that was started last. */
  async closeServer(): Promise<void> {
    await this.started.pop()?.close();
  }

  async closeServers(): Promise<void> {
    for (const app of this.started.splice(0)) await app.close();
  }

  /** One that could not start has nothing to close. */
  forgetServer(): void {
    this.started.pop();
  }

  async send(partition: number, ...values: string[]): Promise<void> {
    await this.publisher.send(
      values.map((value) => ({
        topic: this.topic,
        partition,
        key: value,
        headers: { v: '1' },
        value: Buffer.from(value),
      })),
    );
  }

  async groupMembers(): Promise<number> {
    const { groups } = await withAdmin(this.kafka, (admin) => admin.describeGroups([this.groupId]));
    return groups[0]?.members.length ?? 0;
  }

  async committedOffsets(): Promise<Map<number, number>> {
    const admin = this.kafka.admin();
    await admin.connect();
    const [found] = await admin.fetchOffsets({ groupId: this.groupId, topics: [this.topic] });
    await admin.disconnect();
    return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
  }
}

class ServingModule {}

@Controller()
class ServingController {
  constructor(@Inject(ServingHarness) private readonly harness: ServingHarness) {}

  @BatchHandler('raw')
  handle(@Payload() delivery: Delivery): Promise<void> {
    return this.harness.onDelivery(delivery);
  }
}

export const textsOf = (delivery: Delivery): string[] => delivery.messages.map(({ value }) => String(value));
