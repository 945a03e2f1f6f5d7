import { type DynamicModule, Module } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import { Registry } from 'prom-client';
import { BatchServer } from '#common/kafka/transport/batch-server.js';
import { MessageParking } from '#common/kafka/transport/message-parking.js';
import { parkingProvider } from '#common/lifecycle/parking.provider.js';
import type { ServiceContext } from '#common/lifecycle/run-service.js';
import { ServiceModule } from '#common/lifecycle/service.module.js';
import { KAFKA } from '#common/providers/tokens.js';
import { ContractMetrics } from '#core/registry/contract.metrics.js';
import { DatasetRegistry, loadRegistry } from '#core/registry/registry.js';
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
        ContractCache,
        parkingProvider((message) => encodeStatusEvent({ type: 'parked', ...message })),
        ValidatorMetrics,
        ContractMetrics,
        {
          provide: BatchServer,
          inject: [KAFKA, DatasetRegistry, MessageParking, Registry],
          useFactory: (kafka: Kafka, registry: DatasetRegistry, parking: MessageParking, metrics: Registry) =>
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
              registry: metrics,
              logger,
              onFatal: fatal,
            }),
        },
      ],
    };
  }
}
