import { type DynamicModule, Module } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { BatchServer } from '#common/kafka/batch-server.js';
import { MessageParking } from '#common/kafka/message-parking.js';
import { Publisher } from '#common/kafka/publisher.js';
import type { ServiceContext } from '#common/lifecycle/run-service.js';
import { ServiceModule } from '#common/lifecycle/service.module.js';
import { KAFKA, LOGGER } from '#common/lifecycle/tokens.js';
import { DatasetRegistry, loadRegistry } from '#core/dataset/registry.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import { CONSUMER_GROUPS, MAX_MESSAGE_BYTES, topicOf } from '#core/message/topics.js';
import { ContractCache } from './contract-cache.js';
import { RawBatchController } from './raw-batch.controller.js';
import { ValidatorConfig } from './validator.config.js';
import { ValidatorMetrics } from './validator.metrics.js';

const MIB = 1024 * 1024;

@Module({})
export class ValidatorModule {
  static for(context: ServiceContext<ValidatorConfig>): DynamicModule {
    const { config, logger, fatal } = context;
    return {
      module: ValidatorModule,
      imports: [ServiceModule.for({ ...context, poolSize: 0 })],
      controllers: [RawBatchController],
      providers: [
        { provide: ValidatorConfig, useValue: config },
        { provide: DatasetRegistry, useFactory: () => loadRegistry(config.extraDatasetPaths()) },
        {
          provide: ContractCache,
          inject: [DatasetRegistry],
          useFactory: (registry: DatasetRegistry) => new ContractCache(registry),
        },
        {
          provide: MessageParking,
          inject: [Registry, Publisher, LOGGER],
          useFactory: (registry: Registry, publisher: Publisher, logger: Logger) =>
            new MessageParking(registry, logger, (parked) =>
              publisher.send(parked.map((message) => encodeStatusEvent({ type: 'parked', ...message }))),
            ),
        },
        {
          provide: ValidatorMetrics,
          inject: [Registry],
          useFactory: (registry: Registry) => new ValidatorMetrics(registry),
        },
        {
          provide: BatchServer,
          inject: [KAFKA, DatasetRegistry, MessageParking],
          useFactory: (kafka: Kafka, registry: DatasetRegistry, parking: MessageParking) =>
            new BatchServer({
              kafka,
              groupId: CONSUMER_GROUPS.validate,
              topics: { raw: registry.all().map(({ name }) => topicOf(name, 'raw')) },
              concurrentPartitions: config.concurrentPartitions,
              // Four batches of the default size: enough to overlap publishing, little to repeat.
              maxGroupBytes: 2 * MIB,
              maxGroupMessages: 16,
              maxBytesPerPartition: 2 * MIB,
              maxMessageBytes: MAX_MESSAGE_BYTES,
              sessionTimeoutMs: config.sessionTimeoutMs,
              parking,
              logger,
              onFatal: fatal,
            }),
        },
      ],
    };
  }
}
