import type { JobDetail, UnknownMember } from '#api/jobs.js';
import type { FindingCategory } from '#api/job-words.js';
import { type ErrorJson, jobErrorJson } from './envelope.js';

/**
 * What `--json` prints, once, when a job has ended or needs attention, or after Ctrl-C. Stable: members may be added,
 * never changed or taken away.
 */
export interface RunJson extends Pick<JobDetail, StandingMember> {
  readonly ok: boolean;
  readonly job: string;
  readonly dataset: string;
  readonly mode: string;
  readonly state: string;
  readonly counts: RunCounts;
  /** Finding code → how often. */
  readonly findings: Readonly<Record<string, number>>;
  /** Finding code → what it is about (`value`, `rule`, `key` …), as far as it is known. */
  readonly categories: Readonly<Record<string, FindingCategory>>;
  /** Of NDJSON records, not read by the contract: the most frequent. */
  readonly unknownMembers: readonly UnknownMember[];
  readonly seconds: number;
  /** Null with `ok: true`. */
  readonly error: ErrorJson | null;
}

/** Why the job is as it is, and what can be done about it. */
type StandingMember = 'pauseReason' | 'pauseDetail' | 'problem' | 'wait' | 'resumable' | 'discarded';

/** Records; `warnings` counts findings. A job that ended before it had counts shows what its stages had seen. */
export interface RunCounts {
  readonly read: number;
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly loaded: number;
  /** What became of the loaded records; with `replace` each of them is a new row. */
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
  readonly superseded: number;
  readonly warnings: number;
}

export function runJson(job: JobDetail): RunJson {
  const { id, dataset, mode, state, findings, pauseReason, pauseDetail } = job;
  const error = jobErrorJson(job);
  const { problem, wait, resumable, discarded } = job;
  return {
    ok: error === null,
    job: id,
    dataset,
    mode,
    state,
    counts: runCounts(job),
    findings,
    categories: job.categories ?? {},
    unknownMembers: job.unknownMembers ?? [],
    seconds: job.seconds ?? 0,
    error,
    pauseReason,
    pauseDetail,
    problem,
    wait,
    resumable,
    discarded,
  };
}

export function runCounts(job: JobDetail): RunCounts {
  if (job.counts !== null) {
    const { refusedAtValidate: _validate, refusedAtLoad: _load, ...counts } = job.counts;
    // A tracker of an older build does not count deletes.
    return { ...counts, deleted: (counts as Partial<typeof counts>).deleted ?? 0 };
  }
  const stage = (name: string) => job.stages.find((each) => each.stage === name);
  const validate = stage('validate');
  return {
    read: stage('ingest')?.records ?? 0,
    accepted: validate?.accepted ?? 0,
    refused: job.deadLetters.known,
    skipped: validate?.skipped ?? 0,
    // A job without counts has made nothing visible.
    loaded: 0,
    inserted: 0,
    updated: 0,
    unchanged: 0,
    deleted: 0,
    superseded: 0,
    warnings: validate?.warnings ?? 0,
  };
}
