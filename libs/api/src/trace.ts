import type { DeadLetterState, FindingView } from './dead-letters.js';
import type { JobState } from './job-words.js';

/**
 * What became of one record that has the key. `in-table`: its row is the one that the table should have now; `superseded`: another
 * record's row took its place, or took it away (`supersededBy`); `deleted`: it is a delete, and took the row away;
 * `no-row-to-delete`: it is a delete, and there was no row; `refused`: it is a dead letter, or will be one when its job's are
 * known; `job-failed`, `job-cancelled`, `job-active`, `dry-run`: nothing of its job is visible, or not yet; `job-unknown`: the row
 * of its job is gone.
 */
export const TRACE_FATES = [
  'in-table',
  'superseded',
  'deleted',
  'no-row-to-delete',
  'refused',
  'job-failed',
  'job-cancelled',
  'job-active',
  'dry-run',
  'job-unknown',
] as const;
export type TraceFate = (typeof TRACE_FATES)[number];

/**
 * `later-record`: of the same job; `later-job`; `newer-version`: older by the version column; `existing-row`: mode `append` adds
 * to rows and changes none; `delete`; `replaced`: a later snapshot took the table's place.
 */
export const SUPERSEDED_WHYS = [
  'later-record',
  'later-job',
  'newer-version',
  'existing-row',
  'delete',
  'replaced',
] as const;
export type SupersededWhy = (typeof SUPERSEDED_WHYS)[number];

export interface TraceSupersededBy {
  readonly why: SupersededWhy;
  readonly job: string;
  /** Null: a snapshot without the key. */
  readonly record: number | null;
}

/**
 * The answer in one word. `in-table`: the row is there, and a record that was found explains it; `row-unexplained`: the row is
 * there, and no record that was found explains it; `missing`: by what was found the row should be there, and is not; `deleted`,
 * `replaced`: a delete or a later snapshot took the row away; `refused`; `not-visible`: records were found in jobs that are not
 * visible; `not-found`: no record was found that could have made the row.
 */
export const TRACE_VERDICTS = [
  'in-table',
  'row-unexplained',
  'missing',
  'deleted',
  'replaced',
  'refused',
  'not-visible',
  'not-found',
] as const;
export type TraceVerdict = (typeof TRACE_VERDICTS)[number];

/** Body of `POST /traces`. */
export interface TraceRequest {
  readonly dataset: string;
  /** Values of the key as a record has them, in the order of the contract's key. */
  readonly key: readonly string[];
  /** A row of a child table that is looked for in the records of the key: column → value. */
  readonly row?: { readonly table: string; readonly values: Readonly<Record<string, string>> };
  /** Only what this job has read. */
  readonly job?: string;
  /** Only what was published to the raw topic from this time on, or before it. */
  readonly from?: string;
  readonly to?: string;
}

/** The most values of a key, and the most characters of each. */
export const MAX_TRACE_VALUES = 32;
export const MAX_TRACE_CHARACTERS = 4_000;

/** The refusal of a record. */
export interface TracedDeadLetter {
  /** `<job>:<record>` */
  readonly id: string;
  readonly stage: 'validate' | 'load';
  /** The first ten. */
  readonly codes: readonly string[];
  /** The first three. */
  readonly findings: readonly FindingView[];
  readonly state: DeadLetterState;
}

/** One record that has the key, or mentions it. */
export interface TracedRecord {
  readonly job: string;
  /** Number in the job, from 0. */
  readonly record: number;
  /** In the source, from 1. */
  readonly line: number;
  /** `mention`: it cannot be read as a record, and its bytes hold the values of the key. */
  readonly is: 'record' | 'delete' | 'mention';
  /** What a row stores of its version; null where there is none. */
  readonly version: string | null;
  /** Rows of it that fit the wanted one; null where none was asked for. */
  readonly rows: number | null;
  /** Where its batch stands in the raw topic; null when only its dead letter was found. */
  readonly raw: TopicPlace | null;
  /** The message of an inbox that it came in; null for records of files. */
  readonly message: TopicPlace | null;
  readonly fate: TraceFate;
  readonly supersededBy: TraceSupersededBy | null;
  readonly deadLetter: TracedDeadLetter | null;
}

export interface TopicPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

/** A job of one of the records, or one that superseded them. */
export interface TracedJob {
  readonly id: string;
  readonly state: JobState;
  readonly mode: 'replace' | 'append' | 'upsert';
  readonly dryRun: boolean;
  /** The address without credentials and query values. */
  readonly source: string;
  readonly contractVersion: number;
  readonly createdAt: string;
  readonly finishedAt: string | null;
}

/** What the table holds of the key. */
export interface TracedRow {
  /** `public.customers` */
  readonly table: string;
  /** Null: the tracker may not read the table, or it is not there. */
  readonly isThere: boolean | null;
  readonly version: string | null;
  /** Of the wanted child row; null where none was asked for, or it is not known. */
  readonly rows: number | null;
  /** What the row itself says of where it came from, where its contract stores that (`@Provenance`). */
  readonly provenance: Readonly<Record<string, string | null>>;
}

/** How far the search went. */
export interface TraceHistory {
  /** All batches of all visible jobs were searched, and every job with the key is known. */
  readonly isComplete: boolean;
  readonly batches: number;
  /** Messages of the raw topic that are no batches, or cannot be read. */
  readonly unreadable: number;
  /** Batches whose files do not have the fields of the key. */
  readonly withoutKey: number;
  /** Dead letters of such files. */
  readonly deadLettersWithoutKey: number;
  /** Jobs that have records of the key, and whose rows are gone: whether these became visible is not known. */
  readonly unknownJobs: number;
  /** The oldest message that the raw topic still has; null for an empty one. */
  readonly oldest: string | null;
  /** Visible jobs of which the raw topic has not all batches any more; their records were searched among the dead letters alone. */
  readonly deleted: { readonly jobs: number; readonly batches: number; readonly records: number };
  /** More records were found than are kept; the oldest were left out. */
  readonly leftOut: number;
}

/** The last line of a trace that was not broken off. */
export interface TraceView {
  readonly dataset: string;
  /** Column → value, cleaned and as its kind writes it; of what is not of its kind, the value as it was given. */
  readonly key: Readonly<Record<string, string>>;
  readonly verdict: TraceVerdict;
  readonly row: TracedRow;
  /** In the order in which their jobs became visible; those that are not visible last. */
  readonly records: readonly TracedRecord[];
  /** What took the row away; null where nothing is known to have done so. */
  readonly removedBy: TraceSupersededBy | null;
  readonly jobs: readonly TracedJob[];
  readonly history: TraceHistory;
}

/** How far the search of the raw topic is. */
export interface TraceProgress {
  /** Of the offsets that are to be searched. */
  readonly searched: number;
  readonly of: number;
  readonly found: number;
}

/** One line of the answer of `POST /traces` (NDJSON): progress, then the trace or an error. */
export type TraceLine =
  | { readonly progress: TraceProgress }
  | { readonly trace: TraceView }
  | { readonly error: { readonly code: string; readonly message: string } };
