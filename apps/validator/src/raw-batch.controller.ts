import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { faultPoint } from '#common/faults/fault-point.js';
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
      const judged = await this.parking.decode(message, (each) => this.judge(each));
      if (!judged) continue;
      const publication = this.publish(judged.raw, message, judged.verdict).then(delivery.progress);
      // Its failure is heard below; until then it must not count as unhandled, which would end the process.
      publication.catch(() => undefined);
      publishing.push(publication);
      // Judging holds the event loop for milliseconds; acknowledgements and heartbeats get their turn here.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(publishing);
  }

  /** @throws SluiceError MESSAGE_INVALID, also when the batch does not hold as many records as its header says */
  private judge(message: IncomingMessage): { raw: RawMessage; verdict: BatchVerdict } {
    const raw = decodeRawMessage(message);
    return { raw, verdict: this.contracts.contractFor(raw).judge(raw.batch) };
  }

  private async publish(raw: RawMessage, message: IncomingMessage, verdict: BatchVerdict): Promise<void> {
    faultPoint('validator.before-dead');
    await this.publisher.send(deadLettersOf(raw, verdict).map(encodeDeadLetter));
    faultPoint('validator.dead-sent');
    await this.publisher.send([encodeCleanMessage(raw, message.place, verdict)]);
    faultPoint('validator.clean-sent');
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
    faultPoint('validator.status-sent');
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
