import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { BatchHandler, type Delivery } from '#common/kafka/transport/batch-handler.decorator.js';
import { MessageParking } from '#common/kafka/transport/message-parking.js';
import { decodeDeadLetter } from '#core/message/dead-letter-message.js';
import { decodeStatusEvent } from '#core/message/status-event.js';
import { JobStreams } from '../live/job-streams.js';
import { FoldRepository } from './fold.repository.js';
import { DeadLetterPace } from './dead-letter-pace.js';
import { ParkedMessageRepository } from './parked-message.repository.js';
import { TrackerMetrics } from './tracker.metrics.js';

/**
 * Takes status events and dead letters into the read model; the offsets follow once the folds are durable. A
 * message that the tracker itself cannot read is stored at once, without an event, which might be as unreadable.
 */
@Controller()
export class FoldConsumer {
  constructor(
    private readonly folds: FoldRepository,
    private readonly pace: DeadLetterPace,
    private readonly parkedMessages: ParkedMessageRepository,
    private readonly metrics: TrackerMetrics,
    private readonly parking: MessageParking,
    private readonly watcher: JobStreams,
  ) {}

  @BatchHandler('status')
  async foldStatus(@Payload() delivery: Delivery): Promise<void> {
    const events = await this.parking.decodeAll(delivery.messages, decodeStatusEvent);
    await this.parkedMessages.keep(events.filter((event) => event.type === 'parked'));
    const facts = events.filter((event) => event.type !== 'parked');
    this.metrics.folded(facts, await this.folds.foldEvents(facts));
    this.watcher.refresh(new Set(facts.filter(({ type }) => type === 'job').map(({ job }) => job)));
  }

  @BatchHandler('dead')
  async indexDeadLetters(@Payload() delivery: Delivery): Promise<void> {
    const beganAt = performance.now();
    const letters = await this.parking.decodeAll(delivery.messages, decodeDeadLetter);
    this.metrics.indexed(await this.folds.indexDeadLetters(letters));
    const tookMs = performance.now() - beganAt;
    delivery.rest(await this.pace.restAfter(letters.length, Date.now() - delivery.writtenAt, tookMs));
  }
}
