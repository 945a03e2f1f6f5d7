import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import type { Logger } from 'pino';
import { BatchHandler, type Delivery } from '#common/kafka/batch-handler.decorator.js';
import { LOGGER } from '#common/lifecycle/tokens.js';
import { decodeDeadLetter } from '#core/message/dead-letter-message.js';
import { decodeStatusEvent } from '#core/message/status-event.js';
import { FoldRepository } from './fold.repository.js';
import { type PoisonMessage, readDelivery } from './read-delivery.js';
import { TrackerMetrics } from './tracker.metrics.js';

/** Takes status events and dead letters into the read model; the offsets follow once the folds are durable. */
@Controller()
export class FoldConsumer {
  constructor(
    private readonly folds: FoldRepository,
    private readonly metrics: TrackerMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @BatchHandler('status')
  async foldStatus(@Payload() delivery: Delivery): Promise<void> {
    const { readable: events, poison } = readDelivery(delivery, decodeStatusEvent);
    this.report(poison);
    const newEvents = await this.folds.foldEvents(events);
    this.metrics.folded(events, newEvents);
  }

  @BatchHandler('dead')
  async indexLetters(@Payload() delivery: Delivery): Promise<void> {
    const { readable: letters, poison } = readDelivery(delivery, decodeDeadLetter);
    this.report(poison);
    this.metrics.indexed(await this.folds.indexLetters(letters));
  }

  private report(poison: readonly PoisonMessage[]): void {
    for (const { place, problem } of poison) {
      this.metrics.parked(place.topic);
      this.logger.error({ code: 'MESSAGE_INVALID', ...place }, `passed over: ${problem}`);
    }
  }
}
