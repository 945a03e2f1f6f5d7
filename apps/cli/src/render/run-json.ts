import type { JobDetail } from '#core/job/job-view.js';

/** What `--json` prints, once, when a job has ended. Stable: members may be added, never changed or taken away. */
export interface RunJson {
  readonly job: string;
  readonly dataset: string;
  readonly mode: string;
  readonly state: string;
  readonly counts: RunCounts;
  /** Finding code → how often. */
  readonly findings: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/** Records; `warnings` counts findings. A job that ended before it had counts shows what its stages had seen. */
export interface RunCounts {
  readonly read: number;
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly loaded: number;
  readonly superseded: number;
  readonly warnings: number;
}

export function runJson(job: JobDetail): RunJson {
  const { id, dataset, mode, state, findings } = job;
  return { job: id, dataset, mode, state, counts: runCounts(job), findings, seconds: job.seconds ?? 0 };
}

export function runCounts(job: JobDetail): RunCounts {
  if (job.counts !== null) {
    const { read, accepted, refused, skipped, loaded, superseded, warnings } = job.counts;
    return { read, accepted, refused, skipped, loaded, superseded, warnings };
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
    superseded: 0,
    warnings: validate?.warnings ?? 0,
  };
}
