import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import type { Logger } from 'pino';
import { SluiceError, codeOf } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { BatchHandler, type Delivery } from '#common/kafka/transport/batch-handler.decorator.js';
import { MessageParking } from '#common/kafka/transport/message-parking.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { LOGGER, TRACING } from '#common/providers/tokens.js';
import type { Tracing } from '#common/telemetry/tracing/traced-work.js';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';
import { loggableMessage } from '#common/telemetry/logger.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { type CleanMessage, decodeCleanMessage } from '#core/message/clean-message.js';
import { MessageSeal, UNSEALED } from '#core/message/message-seal.js';
import { encodeStatusEvent } from '#core/message/status-event.js';
import { type TablePlan, planSections } from '#core/record/compile-contract.js';
import { LoaderConfig } from '../loader.config.js';
import { LoaderMetrics } from '../loader.metrics.js';
import { Sweep } from '../sweep/sweep.js';
import { type BatchGroup, groupByJob, GroupLoader } from './group-loader.js';
import { assertSections, loaderPlan } from './staging-targets.js';

/**
 * Loads clean batches: one transaction for each run of batches of one job, then the status events, then the
 * transport commits the offset (G4). Dead letters leave through the ledger's outbox, by the sweep.
 */
@Controller()
export class CleanBatchController {
  private readonly seal: MessageSeal | null;
  private readonly plans = new Map<string, readonly TablePlan[]>();

  constructor(
    private readonly loader: GroupLoader,
    private readonly registry: DatasetRegistry,
    private readonly publisher: Publisher,
    private readonly sweep: Sweep,
    private readonly metrics: LoaderMetrics,
    private readonly parking: MessageParking,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing | null,
    config: LoaderConfig,
  ) {
    this.seal = MessageSeal.of(config.messageKey);
    if (this.seal === null) logger.warn(UNSEALED);
  }

  @BatchHandler('clean')
  async load(@Payload() delivery: Delivery): Promise<void> {
    const messages = await this.parking.decodeAll(delivery.messages, (message) => {
      // Without the secret the seal is not checked: a job that needs one is paused (LD8), and its batches wait.
      const clean = decodeCleanMessage(message, (read) => this.seal?.check(read) ?? false);
      assertSections(clean, message.place, this.planOf(clean.dataset));
      return clean;
    });
    const groups = groupByJob(messages);
    const queue = this.metrics.queue(groups.length);
    try {
      for (const group of groups) {
        if (delivery.isStale()) return;
        queue.loads(group);
        await this.loadTraced(group, delivery.progress);
      }
    } finally {
      queue.ends();
    }
  }

  private planOf(name: string): readonly TablePlan[] {
    const known = this.plans.get(name);
    if (known !== undefined) return known;
    const plan = planSections(this.registry.get(name));
    this.plans.set(name, plan);
    return plan;
  }

  private async loadTraced(group: BatchGroup, progress: () => void): Promise<void> {
    if (this.tracing === null) {
      await this.loadGroup(group, progress);
      return;
    }
    const { job, dataset, batches } = group;
    const links = batches.flatMap(({ traceparent }) => traceparent ?? []);
    const attributes = { 'sluice.batch': batches[0]?.batch ?? 0, 'sluice.batches': batches.length };
    const work = this.tracing.begin('load', { job, dataset }, { attributes, links });
    try {
      await this.loadGroup({ ...group, work }, progress);
      work.end();
    } catch (error) {
      work.end(codeOf(error));
      throw error;
    }
  }

  private async loadGroup(group: BatchGroup, progress: () => void): Promise<void> {
    const { contractVersion } = this.registry.get(group.dataset);
    const plan = loaderPlan(this.planOf(group.dataset), contractVersion, group.job, this.seal !== null);
    const outcome = await this.loader.load(group, plan, progress).catch((error: unknown) => {
      throw waitOrAlarm(error, group);
    });
    if (outcome.kind === 'dropped') {
      this.logger.info(
        { job: group.job, state: outcome.state, batches: group.batches.length },
        'batches dropped',
      );
      this.metrics.dropped(group.dataset, group.batches.length);
      await this.publisher.send((outcome.loaded ?? []).map(loadEvent));
      return;
    }
    this.metrics.loaded(group.dataset, outcome.fresh);
    if (outcome.merged !== null) {
      this.logger.info({ job: group.job, step: 'merge' }, 'merged with its load');
      this.metrics.mergedRecords(group.dataset, outcome.merged);
    }
    // Repeated ones are announced again: the loader that loaded them may have died before announcing.
    await this.publisher.send([...outcome.fresh, ...outcome.repeated].map(loadEvent));
    faultPoint('loader.announced');
    this.sweep.wake();
  }
}

/** Refusals at load are not counted here: they are announced as dead letters, when the outbox is. */
function loadEvent(batch: CleanMessage): ReturnType<typeof encodeStatusEvent> {
  return encodeStatusEvent({
    type: 'batch',
    dataset: batch.dataset,
    job: batch.job,
    epoch: batch.epoch,
    batch: batch.batch,
    stage: 'load',
    records: batch.counts.records,
    bytes: batch.byteEnd - batch.byteStart,
    accepted: batch.counts.accepted,
    refused: 0,
    skipped: 0,
    warnings: 0,
    findings: {},
    at: new Date().toISOString(),
  });
}

/** For the transport: whether waiting is enough, or an operator has to act. */
function waitOrAlarm(error: unknown, group: BatchGroup): Error {
  if (error instanceof SluiceError) return error;
  const waits = classifyDatabaseError(error) === 'wait';
  const state = sqlstateOf(error);
  return new SluiceError(
    waits ? 'DATABASE_UNAVAILABLE' : 'DATABASE_FAULT',
    `Loading into staging failed${state === null ? '' : ` (SQLSTATE ${state})`}: ${loggableMessage(error)}`,
    { dataset: group.dataset, job: group.job, batch: group.batches[0]?.batch ?? 0 },
    { cause: error },
  );
}
