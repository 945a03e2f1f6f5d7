import { Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type { Logger } from 'pino';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import type { DeadLettersResubmitted, RepairJob, ResubmitDeadLetters } from '#api/dead-letters.js';
import { messageOf, SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import { inTransaction } from '#common/postgres/pool.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { KAFKA, LOGGER } from '#common/providers/tokens.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { conditionOf, namedIds, selectionOf } from '#core/repair/dead-letter-selection.js';
import type { DeadLetterKey } from '#core/repair/dead-letter-sums.js';
import { countOpen, countUndecided, datasetsOf } from '#core/repair/letters-to-send.js';
import { IngestorConfig } from '../ingestor.config.js';
import { activeJobProblem } from '../jobs/active-job-problem.js';
import { JobPoller } from '../jobs/job-poller.js';
import { NotSentCounts } from './not-sent.js';
import { RepairMetrics } from './repair.metrics.js';
import { RESUBMISSION_LIMITS, Resubmission, type Resubmitted, type SentLot } from './resubmission.js';

/** lock_not_available, deadlock_detected. */
function isHeldByAnother(error: unknown): boolean {
  return ['55P03', '40P01'].includes(sqlstateOf(error) ?? '');
}

/** What has ended a resubmission, with the jobs that it had made by then: they continue. */
function afterJobs(error: unknown, jobs: readonly RepairJob[]): unknown {
  const known = error instanceof SluiceError ? error : databaseProblem(error);
  if (known === null || jobs.length === 0) return error;
  const made = jobs
    .map(({ id, dataset, records }) => `${id} (${dataset}, ${records} dead letters)`)
    .join(', ');
  const status = known instanceof ProblemError ? known.status : known.retryable ? 503 : 422;
  const problem = new ProblemError(
    known.code,
    `${known.message} What was sent before stays sent, by job ${made}; the same request does the rest.`,
    status,
    { ...(known instanceof ProblemError ? known.members : {}), jobs },
  );
  problem.cause = error;
  return problem;
}

/** Sends refused records again, as they are or as they were corrected (`resubmission.ts`). */
@Injectable()
export class Resubmissions {
  /** One at a time in this process: each holds a connection of the pool, which leases of jobs need as well. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly database: DataSource,
    private readonly registry: DatasetRegistry,
    private readonly config: IngestorConfig,
    private readonly poller: JobPoller,
    private readonly metrics: RepairMetrics,
    @Inject(KAFKA) private readonly kafka: Kafka,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Resolves when every dead letter that can be sent has its job.
   * @throws ProblemError 422; 409 with the active job that excludes the repair, where it is that of the only dataset
   * @throws SluiceError BROKER_UNAVAILABLE, BROKER_FAULT, TOPIC_MISSING, DATABASE_UNAVAILABLE: what was sent before stays sent, and
   * the same request does the rest; a ProblemError whose `jobs` are those that were made before, where there are some
   */
  async resubmit(request: ResubmitDeadLetters): Promise<DeadLettersResubmitted> {
    const chosen = selectionOf(request);
    if ('problem' in chosen) throw new ProblemError('REQUEST_INVALID', chosen.problem, 422);
    const { selection } = chosen;
    const { reason = null, by = null, force = false, dryRun = false } = request;
    const condition = conditionOf(selection);
    const what = { action: uuidv7(), selection, condition, reason, by, force };
    if (dryRun) return this.answer(what, true);
    const turn = this.last.then(() => this.answer(what, false));
    this.last = turn.catch(() => undefined);
    return turn;
  }

  private async answer(what: Resubmitted, dryRun: boolean): Promise<DeadLettersResubmitted> {
    const pool = poolOf(this.database);
    const { unknown, decided } = await namedIds(pool, what.selection.ids);
    const notSent = new NotSentCounts();
    const undecided = await countUndecided(pool, what.condition);
    if (undecided.example !== null)
      notSent.add(
        'JOB_UNDECIDED',
        'its job has not ended for good: it is active, or has failed and can be resumed, or is a repair that did not succeed',
        undecided.example,
        undecided.count,
      );
    const jobs: RepairJob[] = [];
    let counted = 0;
    const names = await datasetsOf(pool, what.condition);
    const leave = async (reason: string, message: string, name: string): Promise<void> => {
      const { count, example } = await countOpen(pool, what.condition, name);
      if (example !== null) notSent.add(reason, message, example, count);
    };
    try {
      for (const name of names) {
        const dataset = this.registry.all().find((each) => each.name === name);
        if (dataset === undefined)
          await leave('DATASET_UNKNOWN', `this ingestor has no dataset ${name}`, name);
        else if (dryRun) counted += await this.count(dataset, what, notSent);
        else
          try {
            await this.send(dataset, what, notSent, jobs);
          } catch (error) {
            // Where nothing else was asked for and nothing was sent, it is the answer.
            const isAll = names.length === 1 && jobs.length === 0;
            if (isAll || !(error instanceof SluiceError) || error.code !== 'JOB_ACTIVE') throw error;
            await leave('JOB_ACTIVE', `${error.message} Send them again when it has ended`, name);
          }
      }
    } catch (error) {
      throw afterJobs(error, jobs);
    } finally {
      if (jobs.length > 0) {
        this.poller.wake();
        await this.finish(what.action);
      }
    }
    return {
      action: jobs.length === 0 ? null : what.action,
      dryRun,
      resubmitted: jobs.reduce((sum, { records }) => sum + records, counted),
      jobs,
      notSent: notSent.list(),
      decided: decided.length,
      unknown: [...unknown],
    };
  }

  /** The audit says when an action has ended. Where that cannot be written, the answer is all the same what was sent. */
  private async finish(action: string): Promise<void> {
    try {
      await poolOf(this.database).query('UPDATE sluice.repair_action SET finished_at = now() WHERE id = $1', [
        action,
      ]);
    } catch (error) {
      this.logger.warn({ err: error, action }, 'the end of a resubmission is not in its repair action');
    }
  }

  /** @param jobs gets each job as soon as it is there */
  private async send(
    dataset: Dataset,
    what: Resubmitted,
    notSent: NotSentCounts,
    jobs: RepairJob[],
  ): Promise<void> {
    for (let after: DeadLetterKey | null = null, afterJob: string | null = null; ;) {
      const begin: DeadLetterKey | null = after;
      const before: string | null = afterJob;
      const ofLot = new NotSentCounts();
      const resubmission = new Resubmission(this.parts(), dataset, what, ofLot);
      const lot: SentLot = await inTransaction(poolOf(this.database), (client) =>
        resubmission.send(client, begin, before),
      ).catch((error: unknown) => {
        if (isHeldByAnother(error))
          throw new SluiceError(
            'DATABASE_UNAVAILABLE',
            `Another request or job of dataset ${dataset.name} holds what this one needs (${messageOf(error)}). Send it again.`,
            { dataset: dataset.name },
            { cause: error },
          );
        throw activeJobProblem(error);
      });
      for (const { reason, message, example, count } of ofLot.list())
        notSent.add(reason, message, example, count);
      if (lot.job !== null) {
        faultPoint('repair.job-row-written');
        const { job: id, records } = lot;
        jobs.push({ id, dataset: dataset.name, records });
        this.metrics.resubmitted(dataset.name, records);
        this.logger.info({ job: id, dataset: dataset.name, records }, 'dead letters are resubmitted');
        afterJob = id;
        this.poller.wake();
      }
      if (lot.next === null) return;
      after = lot.next;
    }
  }

  private async count(dataset: Dataset, what: Resubmitted, notSent: NotSentCounts): Promise<number> {
    const resubmission = new Resubmission(this.parts(), dataset, what, notSent);
    return inTransaction(poolOf(this.database), (client) => resubmission.count(client));
  }

  private parts() {
    const { kafka } = this;
    const { maxRecordBytes } = this.config;
    return { kafka, maxRecordBytes, limits: RESUBMISSION_LIMITS };
  }
}
