import type { DeadLetterCounts } from '#api/dead-letters.js';
import { type Stage, STAGES } from '#api/job-words.js';
import {
  type JobDetail,
  type JobSummary,
  knowsMembers,
  type StageProgress,
  type UnknownMember,
} from '#api/jobs.js';
import { isFinal, isInterrupted } from '#core/job/job-state.js';
import { isWaitOf } from '#core/job/job-wait.js';
import type { Job } from '#core/job/job.entity.js';
import { MAX_SHOWN_MEMBERS, mostFrequent } from '#core/record/member-names.js';
import { addFindings } from '../rows/add-counts.js';
import type { JobStage } from '../rows/job-stage.entity.js';

/**
 * A job as clients see it, from its row and its folds. PURE.
 *
 * - JV1: the job row is the truth for state, counts, totals and, once the job is final, findings; the folds
 *   say how far each stage has come.
 * - JV2: nothing that changes by the passing of time alone, except `seconds`: watchers compare views.
 */

/** @param now by the database's clock, as the lease is */
export function summaryOf(job: Job, now: Date): JobSummary {
  return {
    id: job.id,
    dataset: job.dataset,
    mode: job.mode,
    dryRun: job.dryRun,
    state: job.state,
    interrupted: isInterrupted(job.state, job.leaseUntil, now),
    pauseReason: job.pauseReason,
    pauseDetail: job.pauseDetail,
    problem: job.state === 'running' ? job.problem : null,
    wait: job.wait !== null && isWaitOf(job.state, job.wait) ? job.wait : null,
    afterJob: job.afterJob,
    stream: job.stream,
    originJob: job.originJob,
    replay: job.replay,
    contractVersion: job.contractVersion,
    resumable: job.state === 'failed' && job.resumable,
    discarded: job.discarded,
    source: job.source.display,
    limit: job.limitRecords,
    createdAt: job.createdAt.toISOString(),
    startedAt: job.startedAt?.toISOString() ?? null,
    finishedAt: job.finishedAt?.toISOString() ?? null,
    seconds: job.startedAt && secondsBetween(job.startedAt, job.finishedAt ?? now),
    counts: job.counts === null ? null : { ...job.counts, deleted: job.counts.deleted ?? 0 },
    error: job.error,
  };
}

/** @param deadLettersOfCounted dead letters of the batches that the job's counts are about, when {@link hasDeadLettersOfOthers} */
export function detailOf(
  job: Job,
  stages: readonly JobStage[],
  now: Date,
  deadLettersOfCounted: number | null = null,
): JobDetail {
  const expected = expectedDeadLetters(job);
  const known = deadLettersOfCounted ?? knownDeadLetters(stages);
  return {
    ...summaryOf(job, now),
    findings:
      (isFinal(job.state) ? job.findings : null) ?? addFindings(...stages.map(({ findings }) => findings)),
    unknownMembers: unknownMembersOf(stages),
    stages: STAGES.map((stage) => progressOf(stage, job, stages)),
    step:
      job.state === 'finalizing' ? (stages.find(({ stage }) => stage === 'finalize')?.step ?? null) : null,
    deadLetters: {
      known,
      expected,
      complete: expected !== null && known >= expected,
      states: statesOf(stages),
    },
  };
}

/** Of every dead letter that is known, also of batches that the job's counts say nothing about. */
function statesOf(stages: readonly JobStage[]): DeadLetterCounts {
  const sum = (count: (stage: JobStage) => number): number =>
    stages.reduce((total, stage) => total + count(stage), 0);
  const decided = {
    resubmitted: sum(({ resubmitted }) => resubmitted),
    landed: sum(({ landed }) => landed),
    refusedAgain: sum(({ refusedAgain }) => refusedAgain),
    discarded: sum(({ discarded }) => discarded),
  };
  const { resubmitted, landed, refusedAgain, discarded } = decided;
  return { open: knownDeadLetters(stages) - resubmitted - landed - refusedAgain - discarded, ...decided };
}

/**
 * Whether known dead letters may be of batches that the job's counts say nothing about: a job that failed, or was
 * cancelled, counts the batches that were loaded, and the validator has refused records of others too. As many dead
 * letters as are expected are not all of them then.
 */
export function hasDeadLettersOfOthers(job: Job, stages: readonly JobStage[]): boolean {
  const expected = expectedDeadLetters(job) ?? 0;
  return (job.countedBatches ?? null) !== null && expected > 0 && knownDeadLetters(stages) >= expected;
}

/** Only events carry them: a tracker that was rebuilt from the ledger knows the number of records, and no names. */
function unknownMembersOf(stages: readonly JobStage[]): UnknownMember[] {
  const counts = stages.find(({ stage }) => stage === 'validate')?.unknownMembers ?? {};
  return mostFrequent(counts, MAX_SHOWN_MEMBERS).map(([name, records]) => ({ name, records }));
}

function knownDeadLetters(stages: readonly JobStage[]): number {
  return stages.reduce((sum, stage) => sum + stage.deadLetters, 0);
}

/**
 * Refused records of a job that has ended; null until a loader has counted what a failed or cancelled job has left
 * behind. A job that never began has read nothing.
 */
function expectedDeadLetters({ state, counts, startedAt }: Job): number | null {
  if (!isFinal(state)) return null;
  return counts?.refused ?? (startedAt === null ? 0 : null);
}

/** Whether nothing of the view will change any more. */
export function isSettled(detail: JobDetail): boolean {
  return isFinal(detail.state) && detail.deadLetters.complete && knowsMembers(detail);
}

function progressOf(name: Stage, job: Job, stages: readonly JobStage[]): StageProgress {
  const fold = stages.find(({ stage }) => stage === name);
  const totalRecords = job.totalRecords;
  const totalBytes = totalBytesOf(job);
  const done = isDone(name, job, fold);
  const seconds = measuredSeconds(fold);
  // The first batch marks the beginning: its own records took their time before it.
  const perSecond = (sum: number): number | null =>
    fold && seconds !== null ? (sum * (fold.batches - 1)) / fold.batches / seconds : null;
  const recordsPerSecond = perSecond(fold?.records ?? 0);
  const bytesPerSecond = perSecond(fold?.bytes ?? 0);
  const etas = [
    etaSeconds(totalRecords ?? job.limitRecords, fold?.records ?? 0, recordsPerSecond),
    etaSeconds(totalBytes, fold?.bytes ?? 0, bytesPerSecond),
  ].filter((eta) => eta !== null);
  // JV1: a stage that is done by the row has handled everything, also what its folds do not hold yet.
  const everything = done && name !== 'finalize' ? job : null;
  return {
    stage: name,
    batches: everything?.totalBatches ?? fold?.batches ?? 0,
    records: everything?.totalRecords ?? fold?.records ?? 0,
    bytes: (everything && totalBytes) ?? fold?.bytes ?? 0,
    accepted: fold?.accepted ?? 0,
    refused: fold?.refused ?? 0,
    skipped: fold?.skipped ?? 0,
    warnings: fold?.warnings ?? 0,
    totalRecords,
    totalBytes,
    recordsPerSecond,
    etaSeconds: done || isFinal(job.state) || etas.length === 0 ? null : Math.min(...etas),
    done,
  };
}

/** The row knows sooner than the folds: totals follow the last acknowledgement, finalizing a complete ledger (JV1). */
function isDone(stage: Stage, job: Job, fold: JobStage | undefined): boolean {
  if (job.state === 'succeeded') return true;
  if (stage === 'finalize' || job.totalBatches === null) return false;
  return stage === 'ingest' || job.state === 'finalizing' || (fold?.batches ?? 0) >= job.totalBatches;
}

/** Bytes of all records, so that the stages' bytes reach it exactly; a guess from the source's size at first. */
function totalBytesOf(job: Job): number | null {
  // A limited job ends somewhere before the source does: its size says nothing until the ingestor knows.
  const end = job.totalBytes ?? (job.limitRecords === null ? job.expectedBytes : null);
  return end === null ? null : Math.max(0, end - (job.head?.dataStart ?? 0));
}

/** From the first batch to the last one; null when there are not two to measure between. */
function measuredSeconds(fold: JobStage | undefined): number | null {
  if (!fold?.firstAt || !fold.lastAt || fold.batches < 2) return null;
  const seconds = secondsBetween(fold.firstAt, fold.lastAt);
  return seconds > 0 ? seconds : null;
}

function etaSeconds(total: number | null, sum: number, perSecond: number | null): number | null {
  if (total === null || perSecond === null || perSecond === 0) return null;
  return Math.max(0, total - sum) / perSecond;
}

function secondsBetween(from: Date, to: Date): number {
  return Math.max(0, to.getTime() - from.getTime()) / 1000;
}
