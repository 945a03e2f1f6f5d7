import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { BatchHandler, type Delivery } from '#common/kafka/batch-handler.decorator.js';
import { MessageParking } from '#common/kafka/message-parking.js';
import { decodeDeadLetter } from '#core/message/dead-letter-message.js';
import { decodeStatusEvent } from '#core/message/status-event.js';
import { FoldRepository } from './fold.repository.js';
import { TrackerMetrics } from './tracker.metrics.js';

/** Takes status events and dead letters into the read model; the offsets follow once the folds are durable. */
@Controller()
export class FoldConsumer {
  constructor(
    private readonly folds: FoldRepository,
    private readonly metrics: TrackerMetrics,
    private readonly parking: MessageParking,
  ) {}

  @BatchHandler('status')
  async foldStatus(@Payload() delivery: Delivery): Promise<void> {
    const events = this.parking.decodeAll(delivery.messages, decodeStatusEvent);
    const newEvents = await this.folds.foldEvents(events);
    this.metrics.folded(events, newEvents);
  }

  @BatchHandler('dead')
  async indexLetters(@Payload() delivery: Delivery): Promise<void> {
    const letters = this.parking.decodeAll(delivery.messages, decodeDeadLetter);
    this.metrics.indexed(await this.folds.indexLetters(letters));
  }
}
