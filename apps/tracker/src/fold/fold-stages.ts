import type { Stage } from '#api/job-words.js';
import type { BatchEvent, JobEvent } from '#core/message/status-event.js';
import { MAX_KEPT_MEMBERS, type MemberCounts, mostFrequent } from '#core/record/member-names.js';
import { addCounts } from '../rows/add-counts.js';

/**
 * Folds status events into sums per stage. PURE.
 *
 * A fold is a sum over the *set* of facts: a store that keeps facts by their natural id, and folds only the new ones,
 * gets the same result for any order and any number of repeats (G7).
 *
 * - FS1: counts, bytes and findings are added once for each id (job, batch, stage).
 * - FS2: times are the smallest and the greatest that were ever announced, repeats included, so announcing a fact again at
 *   another time does not depend on order either.
 * - FS3: the step of a finalization is the one with the greatest (time, name).
 * - FS4: of unknown members the most frequent are kept; up to MAX_KEPT_MEMBERS names their sums are exact in any order.
 */
export interface StageSums {
  readonly job: string;
  readonly stage: Stage;
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
  readonly deadLetters: number;
  readonly findings: Readonly<Record<string, number>>;
  readonly unknownMembers: MemberCounts;
  /** Milliseconds since 1970. */
  readonly firstAt: number | null;
  readonly lastAt: number | null;
  readonly step: { readonly name: string; readonly at: number } | null;
}

/** A refused record whose dead letter has arrived. */
export interface DeadLetterFact {
  readonly job: string;
  readonly stage: 'validate' | 'load';
}

/** What a status event can say about a job. */
export type JobFact = BatchEvent | JobEvent;

/** The natural id of a batch event. */
export function batchEventId({ job, batch, stage }: Pick<BatchEvent, 'job' | 'batch' | 'stage'>): string {
  return `${job}:${batch}:${stage}`;
}

/** The events that have these ids, each id once. */
export function eachOnce(events: readonly BatchEvent[], ids: ReadonlySet<string>): BatchEvent[] {
  const byId = new Map<string, BatchEvent>();
  for (const event of events) {
    const id = batchEventId(event);
    if (ids.has(id) && !byId.has(id)) byId.set(id, event);
  }
  return [...byId.values()];
}

/** FS1: what batches that were not known before add to their stages. */
export function sumBatches(newEvents: readonly BatchEvent[]): StageSums[] {
  return foldByStage(
    newEvents.map((event) => ({
      ...nothing(event.job, event.stage),
      batches: 1,
      records: event.records,
      bytes: event.bytes,
      accepted: event.accepted,
      refused: event.refused,
      skipped: event.skipped,
      warnings: event.warnings,
      findings: event.findings,
      unknownMembers: event.unknownMembers ?? {},
    })),
  );
}

/** FS2 and FS3: what any events, repeats included, say about time and steps. */
export function spanEvents(events: readonly JobFact[]): StageSums[] {
  return foldByStage(
    events.flatMap((event) => {
      const at = Date.parse(event.at);
      if (event.type === 'batch') return [{ ...nothing(event.job, event.stage), firstAt: at, lastAt: at }];
      if (event.step === null) return [];
      return [{ ...nothing(event.job, 'finalize'), firstAt: at, lastAt: at, step: { name: event.step, at } }];
    }),
  );
}

/** Counts dead letters that were not known before. */
export function countDeadLetters(newLetters: readonly DeadLetterFact[]): StageSums[] {
  return foldByStage(newLetters.map(({ job, stage }) => ({ ...nothing(job, stage), deadLetters: 1 })));
}

/**
 * Adds up what concerns the same stage of the same job, in one go: the work is what the parts hold, not its product with
 * what has been added up so far.
 * @returns sorted by job and stage: rows are locked in one order everywhere, so transactions cannot deadlock
 */
export function foldByStage(parts: readonly StageSums[]): StageSums[] {
  const sums = new Map<string, Adding>();
  for (const part of parts) {
    const key = `${part.job}:${part.stage}`;
    const sum = sums.get(key);
    if (sum) add(sum, part);
    else
      sums.set(key, { ...part, findings: mapOf(part.findings), unknownMembers: mapOf(part.unknownMembers) });
  }
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { findings, unknownMembers, ...sum }]) => ({
      ...sum,
      findings: Object.fromEntries(findings),
      unknownMembers: Object.fromEntries(mostFrequent(Object.fromEntries(unknownMembers), MAX_KEPT_MEMBERS)),
    }));
}

/** Sums that grow in place. */
type Adding = { -readonly [K in keyof Omit<StageSums, NamedCounts>]: StageSums[K] } & {
  readonly [K in NamedCounts]: Map<string, number>;
};
type NamedCounts = 'findings' | 'unknownMembers';

const mapOf = (counts: Readonly<Record<string, number>>): Map<string, number> =>
  new Map(Object.entries(counts));

function add(sum: Adding, part: StageSums): void {
  sum.batches += part.batches;
  sum.records += part.records;
  sum.bytes += part.bytes;
  sum.accepted += part.accepted;
  sum.refused += part.refused;
  sum.skipped += part.skipped;
  sum.warnings += part.warnings;
  sum.deadLetters += part.deadLetters;
  addCounts(sum.findings, part.findings);
  addCounts(sum.unknownMembers, part.unknownMembers);
  sum.firstAt = ofBoth(sum.firstAt, part.firstAt, Math.min);
  sum.lastAt = ofBoth(sum.lastAt, part.lastAt, Math.max);
  sum.step = laterStep(sum.step, part.step);
}

function ofBoth(a: number | null, b: number | null, choose: (a: number, b: number) => number): number | null {
  if (a === null) return b;
  return b === null ? a : choose(a, b);
}

function laterStep(a: StageSums['step'], b: StageSums['step']): StageSums['step'] {
  if (a === null || b === null) return a ?? b;
  if (a.at !== b.at) return a.at > b.at ? a : b;
  return a.name > b.name ? a : b;
}

function nothing(job: string, stage: Stage): StageSums {
  return {
    job,
    stage,
    batches: 0,
    records: 0,
    bytes: 0,
    accepted: 0,
    refused: 0,
    skipped: 0,
    warnings: 0,
    deadLetters: 0,
    findings: {},
    unknownMembers: {},
    firstAt: null,
    lastAt: null,
    step: null,
  };
}
