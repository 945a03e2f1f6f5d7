import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { BatchHandler, type Delivery } from '#common/kafka/batch-handler.decorator.js';
import type { IncomingMessage } from '#common/kafka/message.js';
import { MessageParking } from '#common/kafka/message-parking.js';
import { Publisher } from '#common/kafka/publisher.js';
import { encodeCleanMessage } from '#core/message/clean-message.js';
import { type DeadLetter, encodeDeadLetter } from '#core/message/dead-letter-message.js';
import { type RawMessage, decodeRawMessage } from '#core/message/raw-message.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import type { BatchVerdict } from '#core/record/verdict.js';
import { ContractCache } from './contract-cache.js';
import { ValidatorMetrics } from './validator.metrics.js';

/**
 * Turns each raw batch into one clean batch and its dead letters.
 * Order of the writes, each acknowledged before the next: dead → clean → status → raw offset (G4).
 * Batches of one delivery are judged one after the other while earlier ones are being published.
 */
@Controller()
export class RawBatchController {
  constructor(
    @Inject(ContractCache) private readonly contracts: ContractCache,
    @Inject(Publisher) private readonly publisher: Publisher,
    @Inject(ValidatorMetrics) private readonly metrics: ValidatorMetrics,
    @Inject(MessageParking) private readonly parking: MessageParking,
  ) {}

  @BatchHandler('raw')
  async validate(@Payload() delivery: Delivery): Promise<void> {
    const publishing: Promise<void>[] = [];
    for (const message of delivery.messages) {
      if (delivery.isStale()) break;
      const raw = this.parking.decode(message, decodeRawMessage);
      if (!raw) continue;
      const verdict = this.contracts.contractFor(raw).judge(raw.batch);
      publishing.push(this.publish(raw, message, verdict).then(delivery.progress));
      // Judging holds the event loop for milliseconds; acknowledgements and heartbeats get their turn here.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(publishing);
  }

  private async publish(raw: RawMessage, message: IncomingMessage, verdict: BatchVerdict): Promise<void> {
    await this.publisher.send(deadLettersOf(raw, verdict).map(encodeDeadLetter));
    await this.publisher.send([encodeCleanMessage(raw, message.place, verdict)]);
    const { batch, dataset, job } = raw;
    await this.publisher.send([
      encodeStatusEvent({
        type: 'batch',
        dataset,
        job,
        batch: batch.batch,
        stage: 'validate',
        bytes: batch.byteEnd - batch.byteStart,
        ...verdict.counts,
        findings: verdict.findings,
        at: new Date().toISOString(),
      }),
    ]);
    this.metrics.judged(dataset, verdict);
  }
}

function deadLettersOf(raw: RawMessage, verdict: BatchVerdict): DeadLetter[] {
  const { dataset, job, columns, attempt, batch } = raw;
  return verdict.refused.map((refused) => ({
    ...refused,
    dataset,
    job,
    batch: batch.batch,
    stage: 'validate',
    sqlstate: null,
    attempt,
    columns,
  }));
}
