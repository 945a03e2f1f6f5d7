/**
 * What became of the records of one key: which one is in the table, and by what each of the others was superseded. PURE.
 *
 * - TF1: jobs count in the order in which they became visible; in a job its records, as a merge judges them
 *   (docs/decisions/0024, and MJ1, MJ2 and MJ6 of `apps/loader/src/finalize/merge-judge.ts`).
 * - TF2: a refused record, and one of a job that is not visible, changes nothing.
 * - TF3: a `replace` job takes every row away that it does not have itself, also where no record of it has the key.
 */
import type { TraceFate, TraceSupersededBy } from '#api/trace.js';
import type { JobState } from '#api/job-words.js';
import type { Kind } from '../dataset/kinds.js';
import type { WriteMode } from '../dataset/dataset.js';
import { compareVersions } from './key-value.js';
import type { SightingKind } from './key-finder.js';

export interface FatedRecord {
  readonly job: string;
  readonly record: number;
  readonly is: SightingKind;
  readonly version: string | null;
  readonly isRefused: boolean;
}

export interface FatedJob {
  readonly id: string;
  readonly mode: WriteMode;
  readonly state: JobState;
  readonly isDryRun: boolean;
  /** ISO 8601; of a job that has ended. */
  readonly finishedAt: string | null;
}

export interface Fate {
  readonly fate: TraceFate;
  readonly supersededBy: TraceSupersededBy | null;
}

export interface Fates {
  /** In the order of the records that were given. */
  readonly fates: readonly Fate[];
  /** The record whose row the table should have; null: none. */
  readonly standing: FatedRecord | null;
  /** What took the last row away, where none is standing. */
  readonly removedBy: TraceSupersededBy | null;
}

/**
 * @param jobs those of the records, and all visible `replace` jobs of the dataset
 * @param version the kind of the version column; null where the dataset has none
 */
export function fatesOf(
  records: readonly FatedRecord[],
  jobs: ReadonlyMap<string, FatedJob>,
  version: Kind | null,
): Fates {
  const fates = new Map<FatedRecord, Fate>();
  const ofJob = new Map<string, FatedRecord[]>();
  for (const record of records) {
    const decided = decidedBefore(record, jobs.get(record.job));
    if (decided !== null) fates.set(record, { fate: decided, supersededBy: null });
    else ofJob.set(record.job, [...(ofJob.get(record.job) ?? []), record]);
  }
  const key = new KeyHistory(version, (record, fate, supersededBy) =>
    fates.set(record, { fate, supersededBy: supersededBy ?? null }),
  );
  for (const job of [...jobs.values()].filter(isVisible).sort(byEnd)) {
    const own = (ofJob.get(job.id) ?? []).sort((one, other) => one.record - other.record);
    key.take(job, own);
  }
  return {
    fates: records.map((record) => fates.get(record) ?? UNKNOWN),
    standing: key.standing,
    removedBy: key.standing === null ? key.removedBy : null,
  };
}

const UNKNOWN: Fate = { fate: 'job-unknown', supersededBy: null };

function isVisible({ state, isDryRun }: FatedJob): boolean {
  return state === 'succeeded' && !isDryRun;
}

function byEnd(one: FatedJob, other: FatedJob): number {
  const [first, second] = [one, other].map(({ finishedAt }) => Date.parse(finishedAt ?? ''));
  return (first ?? 0) - (second ?? 0) || (one.id < other.id ? -1 : 1);
}

/** TF2. @returns null where the job's end decides */
function decidedBefore({ isRefused, is }: FatedRecord, job: FatedJob | undefined): TraceFate | null {
  if (isRefused || is === 'mention') return 'refused';
  if (job === undefined) return 'job-unknown';
  if (job.isDryRun) return 'dry-run';
  switch (job.state) {
    case 'succeeded':
      return null;
    case 'failed':
      return 'job-failed';
    case 'cancelled':
      return 'job-cancelled';
    case 'queued':
    case 'running':
    case 'paused':
    case 'finalizing':
      return 'job-active';
  }
}

type Tell = (record: FatedRecord, fate: TraceFate, supersededBy?: TraceSupersededBy) => void;

/** The row of one key, job by job. */
class KeyHistory {
  standing: FatedRecord | null = null;
  removedBy: TraceSupersededBy | null = null;

  constructor(
    private readonly version: Kind | null,
    private readonly tell: Tell,
  ) {}

  take(job: FatedJob, records: readonly FatedRecord[]): void {
    switch (job.mode) {
      case 'replace':
        this.replace(job, records);
        return;
      case 'append':
        this.append(records);
        return;
      case 'upsert':
        this.upsert(records);
    }
  }

  /** TF3. Of several with one key all but one are refused. */
  private replace({ id }: FatedJob, records: readonly FatedRecord[]): void {
    const last = records.at(-1) ?? null;
    for (const record of records)
      if (record !== last) this.tell(record, 'superseded', by('later-record', last));
    const { standing } = this;
    const replaced: TraceSupersededBy = { why: 'replaced', job: id, record: last?.record ?? null };
    if (standing !== null) this.tell(standing, 'superseded', replaced);
    if (last === null) this.remove(replaced);
    else this.stand(last);
  }

  private append(records: readonly FatedRecord[]): void {
    for (const record of records) {
      if (record.is === 'delete') continue;
      if (this.standing === null) this.stand(record);
      else this.tell(record, 'superseded', by('existing-row', this.standing));
    }
  }

  private upsert(records: readonly FatedRecord[]): void {
    // MJ6: a delete without a version is newer than all before it, and makes the row's version nothing for those behind it.
    const cutAt = records.findLastIndex((record) => this.isUnversionedDelete(record));
    const candidates = cutAt === -1 ? records : records.slice(cutAt);
    const chosen = candidates.reduce<FatedRecord | null>((best, record) => this.newer(best, record), null);
    if (chosen === null) return;
    for (const record of records) {
      if (record === chosen) continue;
      const isOlder = record.record > chosen.record;
      const why = isOlder ? 'newer-version' : chosen.is === 'delete' ? 'delete' : 'later-record';
      this.tell(record, 'superseded', by(why, chosen));
    }
    this.apply(chosen, cutAt !== -1);
  }

  private apply(chosen: FatedRecord, ignoresVersion: boolean): void {
    const { standing } = this;
    const isStale = standing !== null && !ignoresVersion && this.compare(standing, chosen) > 0;
    if (isStale) {
      this.tell(chosen, 'superseded', by('newer-version', standing));
      return;
    }
    if (chosen.is === 'record') {
      if (standing !== null) this.tell(standing, 'superseded', by('later-job', chosen));
      this.stand(chosen);
      return;
    }
    if (standing === null) {
      this.tell(chosen, 'no-row-to-delete');
      return;
    }
    this.tell(standing, 'superseded', by('delete', chosen));
    this.tell(chosen, 'deleted');
    this.remove(by('delete', chosen));
  }

  /** MJ1: the newest version, among equals the last. */
  private newer(best: FatedRecord | null, record: FatedRecord): FatedRecord {
    if (best === null || this.isUnversionedDelete(best)) return record;
    return this.compare(record, best) >= 0 ? record : best;
  }

  private compare(one: FatedRecord, other: FatedRecord): number {
    return this.version === null ? 0 : compareVersions(this.version, one.version, other.version);
  }

  private isUnversionedDelete({ is, version }: FatedRecord): boolean {
    return is === 'delete' && (this.version === null || version === null);
  }

  private stand(record: FatedRecord): void {
    this.standing = record;
    this.tell(record, 'in-table');
  }

  private remove(removedBy: TraceSupersededBy): void {
    if (this.standing !== null) this.removedBy = removedBy;
    this.standing = null;
  }
}

function by(why: TraceSupersededBy['why'], record: FatedRecord | null): TraceSupersededBy {
  return { why, job: record?.job ?? '', record: record?.record ?? null };
}
