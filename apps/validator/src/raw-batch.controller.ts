import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import type { Logger } from 'pino';
import { SluiceError, codeOf } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import type { IncomingMessage } from '#common/kafka/message.js';
import { BatchHandler, type Delivery } from '#common/kafka/transport/batch-handler.decorator.js';
import { MessageParking } from '#common/kafka/transport/message-parking.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { LOGGER, TRACING } from '#common/providers/tokens.js';
import type { TracedWork, Tracing } from '#common/telemetry/tracing/traced-work.js';
import { traceparentOf, withTraceparent } from '#common/kafka/traceparent.js';
import { type BatchFault, type CleanOutcome, encodeCleanMessage } from '#core/message/clean-message.js';
import { type DeadLetter, encodeDeadLetters } from '#core/message/dead-letter-message.js';
import { BatchFacts } from '#core/message/message-facts.js';
import { MessageSeal, UNSEALED, checkedSeal } from '#core/message/message-seal.js';
import { decodeRawMessage, type RawMessage } from '#core/message/raw-message.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import { topicOf } from '#core/message/topics.js';
import { travellingMembers } from '#core/record/member-names.js';
import type { BatchVerdict } from '#core/record/verdict.js';
import { ContractCache } from './contract-cache.js';
import { type Admission, InFlightLimit } from './in-flight-limit.js';
import { ValidatorConfig } from './validator.config.js';
import { ValidatorMetrics } from './validator.metrics.js';

/**
 * What judged batches that are not published yet may hold, with all deliveries together (RB2): five ordinary ones. With
 * 8 MiB, enough for any two deliveries, a validator took up to 257 MB; with this bound up to 239 MB (memory.e2e-spec).
 */
const MAX_UNPUBLISHED_BYTES = 3 * 1024 * 1024;

/**
 * Turns each raw batch into one clean batch and its dead letters.
 * Order of the writes, each acknowledged before the next: dead → clean → status → raw offset (G4).
 * Batches of one delivery are judged one after the other while earlier ones are being published.
 *
 * - RB1: a message that is none of ours is parked; whatever else keeps a batch from being validated (its contract's
 *   version, its columns, code of the dataset that throws) goes to the loader as a clean batch with a `fault`, which
 *   ends or pauses the job if there still is one. So no batch holds up those behind it, which may be of other jobs.
 * - RB2 (G9): a batch is judged when what was judged before is published, or small (`InFlightLimit`); dead letters are
 *   worded and encoded request by request.
 * - RB3: a raw message with a wrong seal is parked; one without a seal becomes a clean batch without, which the loader
 *   does not take for a job whose messages are sealed (`MessageSeal`).
 */
@Controller()
export class RawBatchController {
  private readonly inFlight = new InFlightLimit(MAX_UNPUBLISHED_BYTES);
  private readonly seal: MessageSeal | null;

  constructor(
    private readonly contracts: ContractCache,
    private readonly publisher: Publisher,
    private readonly metrics: ValidatorMetrics,
    private readonly parking: MessageParking,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing | null,
    config: ValidatorConfig,
  ) {
    this.seal = MessageSeal.of(config.messageKey);
    if (this.seal === null) logger.warn(UNSEALED);
    metrics.shows(this.inFlight);
  }

  @BatchHandler('raw')
  async validate(@Payload() delivery: Delivery): Promise<void> {
    const publishing: Promise<void>[] = [];
    for (const message of delivery.messages) {
      if (delivery.isStale()) break;
      const admission = await this.inFlight.admit();
      const judged = await this.parking.decode(message, (each) => this.judge(each, admission));
      if (!judged) continue;
      const publication = this.publish(judged, message)
        .then(delivery.progress)
        .then(
          () => {
            judged.over(null);
          },
          (error: unknown) => {
            judged.over(error);
            throw error;
          },
        );
      // Its failure is awaited below; until then it must not count as unhandled, which would end the process.
      publication.catch(() => undefined);
      publishing.push(publication);
      // Judging holds the event loop for milliseconds; acknowledgements and heartbeats get their turn here.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(publishing);
  }

  /** @throws SluiceError MESSAGE_INVALID, also when the batch does not hold as many records as its header says */
  private judge(message: IncomingMessage, admission: Admission): JudgedBatch {
    let work: TracedWork | undefined;
    try {
      // First faults with their own message, such as a newer version; then RB3: what came without a seal stays without one.
      const raw = decodeRawMessage(message);
      const seal = checkedSeal(this.seal, message) ? this.seal : null;
      work = this.begin(raw, message);
      const outcome = this.outcomeOf(raw);
      const bytes = heldBytes(outcome);
      const [published, passed] = [admission.judged(bytes), this.metrics.inFlight.begin(1, bytes)];
      const over = (error: unknown): void => {
        published();
        passed();
        if (error !== null) work?.end(codeOf(error));
        else work?.end('fault' in outcome ? outcome.fault.code : undefined);
      };
      return { raw, outcome, seal, work, over };
    } catch (error) {
      admission.released();
      work?.end(codeOf(error));
      throw error;
    }
  }

  /** @throws SluiceError MESSAGE_INVALID */
  private outcomeOf(raw: RawMessage): JudgedBatch['outcome'] {
    try {
      const { contract, plan } = this.contracts.contractFor(raw);
      return { verdict: contract.judge(raw.batch), plan };
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'MESSAGE_INVALID') throw error;
      const fault = faultOf(error, raw);
      const { job, dataset } = raw;
      const facts = { job, dataset, batch: raw.batch.batch, code: fault.code };
      this.logger.error(facts, `a batch cannot be validated: ${fault.message}`);
      return { fault };
    }
  }

  private begin({ job, dataset, batch }: RawMessage, { headers }: IncomingMessage): TracedWork | undefined {
    const attributes = { 'sluice.batch': batch.batch, 'sluice.records': batch.records };
    return this.tracing?.begin('validate', { job, dataset }, { attributes, parent: traceparentOf(headers) });
  }

  private async publish({ raw, outcome, seal, work }: JudgedBatch, message: IncomingMessage): Promise<void> {
    const { batch, dataset, job, epoch } = raw;
    const verdict = 'verdict' in outcome ? outcome.verdict : null;
    faultPoint('validator.before-dead');
    if (verdict !== null) await this.publisher.send(encodeDeadLetters(deadLettersOf(raw, verdict)));
    faultPoint('validator.dead-sent');
    const partitions = await this.publisher.partitionsOf(topicOf(dataset, 'clean'));
    const clean = encodeCleanMessage(raw, message.place, outcome, partitions);
    const traced = withTraceparent(clean, work?.traceparent);
    await this.publisher.send([seal?.sealed(traced) ?? traced]);
    faultPoint('validator.clean-sent');
    const bytes = batch.byteEnd - batch.byteStart;
    if (verdict === null) {
      this.metrics.faulted(dataset, bytes);
      return;
    }
    const { unknownMembers } = verdict;
    await this.publisher.send([
      encodeStatusEvent({
        type: 'batch',
        dataset,
        job,
        epoch,
        batch: batch.batch,
        stage: 'validate',
        bytes,
        ...verdict.counts,
        findings: verdict.findings,
        ...(unknownMembers === undefined ? {} : { unknownMembers: travellingMembers(unknownMembers) }),
        at: new Date().toISOString(),
      }),
    ]);
    faultPoint('validator.status-sent');
    this.metrics.judged(dataset, bytes, verdict);
  }
}

/** The message of an unknown error may quote a record, so only its class is reported. */
function faultOf(error: unknown, { batch }: RawMessage): BatchFault {
  if (error instanceof SluiceError) return { code: error.code, message: error.message };
  const name = error instanceof Error ? error.name : typeof error;
  const records = `records ${batch.firstRecord} to ${batch.firstRecord + batch.records - 1}`;
  return {
    code: 'INTERNAL',
    message: `Validating batch ${batch.batch} (${records}, from line ${batch.firstLine} on) failed with ${name}.`,
  };
}

interface JudgedBatch {
  readonly raw: RawMessage;
  readonly outcome: CleanOutcome;
  /** For its clean batch. */
  readonly seal: MessageSeal | null;
  readonly work: TracedWork | undefined;
  /** To be called when it is published (null), or never will be. */
  readonly over: (error: unknown) => void;
}

function heldBytes(outcome: CleanOutcome): number {
  if ('fault' in outcome) return 0;
  const { refused, sections } = outcome.verdict;
  return sections.reduce((sum, { text }) => sum + text.length, refused.heldBytes);
}

/** Written out: copying one object into another for each refused record took a tenth of the validator's time. */
function* deadLettersOf(raw: RawMessage, verdict: BatchVerdict): Generator<DeadLetter> {
  const { dataset, job, columns, attempt, epoch } = raw;
  const { batch, firstRecord, messages } = raw.batch;
  if (messages !== undefined) {
    const facts = new BatchFacts(messages, batch);
    for (const refused of verdict.refused) {
      yield {
        ...refused,
        dataset,
        job,
        batch,
        epoch,
        stage: 'validate',
        sqlstate: null,
        attempt,
        columns,
        ...facts.messageOf(refused.record - firstRecord),
      };
    }
    return;
  }
  for (const { record, line, byteStart, byteEnd, bytes, findings } of verdict.refused) {
    yield {
      dataset,
      job,
      batch,
      epoch,
      record,
      line,
      byteStart,
      byteEnd,
      stage: 'validate',
      findings,
      sqlstate: null,
      attempt,
      columns,
      bytes,
    };
  }
}
