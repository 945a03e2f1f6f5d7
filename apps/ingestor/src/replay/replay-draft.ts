import type { LeftOutReason, ReplayCover, ReplayRequest } from '#api/replays.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type Dataset, type OptionValues, type WriteMode, resolveOptions } from '#core/dataset/dataset.js';
import { isFinal } from '#core/job/job-state.js';
import type { OffsetRange } from '#core/raw-log/raw-log-reader.js';
import type { PlannedReplayJob, ReplayPlan, ReplayedSettings } from '#core/replay/replay.js';
import type { KnownRefused, OriginJob, PrunedJobs } from '#core/replay/select-origins.js';
import { rawAddress } from '../sources/raw/raw-address.js';

/** An earlier job, and where its batches stand. */
export interface PlacedOrigin {
  readonly origin: OriginJob;
  readonly ranges: readonly OffsetRange[];
  /** That are there. */
  readonly batches: number;
  readonly records: number;
  /** That retention has deleted. */
  readonly goneBatches: number;
  readonly goneRecords: number;
  /** The batches that were selected, or that are there of a job of which records are chosen; null: all of the job. */
  readonly only: readonly number[] | null;
}

/** Merging jobs that are under way at once, when nothing else is asked for. */
const DEFAULT_AT_ONCE = 4;
/** Jobs that are named one by one in an error. */
const REASONS: Readonly<Record<LeftOutReason, string>> = {
  active: 'is active',
  resumable: 'has failed and can be resumed',
  unsuccessful: 'did not succeed',
  'dry-run': 'was a dry run',
  replay: 'is itself a job of a replay',
  nothing: 'has nothing of what is wanted',
  expired: 'is deleted from the raw topic',
  unknown: 'is not known any more',
  pruned: 'was of a stream, and its row is deleted',
  overtaken: 'was in mode replace, and later jobs have become visible',
  unfinished: 'was in mode replace, and ended before its source was read to the end',
};

/**
 * What a replay covers, gathered job by job. PURE.
 *
 * - RD1: a job is replayed with the settings that it had, as far as the dataset still has them.
 * - RD2: chosen records are merged, never put in the place of a table; and so is a job of which a part is missing, or may be:
 *   only a job whose source was read to the end says how many batches it has.
 * - RD3: a job of an earlier replay is left out when the plan covers its origin whole; otherwise its records are in no other job
 *   of the plan.
 * - RD4: where the order of jobs decides what a row is, a span of which jobs were pruned is not replayed.
 */
export class ReplayDraft {
  deletedOffsets = 0;
  private readonly jobs: PlannedReplayJob[] = [];
  private readonly deleted = { jobs: 0, batches: 0, records: 0 };
  /** Jobs whose records the plan covers whole. */
  private readonly whole = new Set<string>();
  private pruned: PrunedJobs | null = null;
  private readonly leftOut = new Map<LeftOutReason, { jobs: number; example: string }>();

  constructor(
    private readonly dataset: Dataset,
    private readonly request: ReplayRequest,
    /** Every table of the dataset has a version column: a newer row stays, in whatever order jobs are loaded. */
    private readonly isVersioned = false,
  ) {}

  leaveOut(job: string, reason: LeftOutReason, jobs = 1): void {
    const known = this.leftOut.get(reason) ?? { jobs: 0, example: job };
    this.leftOut.set(reason, { ...known, jobs: known.jobs + jobs });
  }

  /** Jobs of the span that cannot be replayed, because nothing says any more where each of them stands. */
  leaveOutPruned(pruned: PrunedJobs): void {
    this.pruned = pruned;
    this.leaveOut(pruned.example, 'pruned', pruned.jobs);
  }

  /**
   * Whether a selected job is replayed at all; leaves it out otherwise.
   * @throws SluiceError REPLAY_REFUSED of a job that was named
   */
  takes(origin: OriginJob): boolean {
    const reason = this.reasonAgainst(origin);
    if (reason === null) return true;
    this.refuse(origin, reason);
    return false;
  }

  /** Whether only its open dead letters are wanted. */
  chooses({ state }: OriginJob): boolean {
    const { only = 'all' } = this.request;
    return only === 'refused' || (only === 'missing' && state === 'succeeded');
  }

  /**
   * In the order in which they are replayed: an origin comes before the jobs that have replayed it.
   * @throws SluiceError REPLAY_INCOMPLETE, REPLAY_EXPIRED; REPLAY_REFUSED when no mode can take it
   */
  add(placed: PlacedOrigin, refused: KnownRefused): void {
    const { origin, ranges, batches, goneBatches, goneRecords, only } = placed;
    const isChosen = this.chooses(origin);
    if (this.isCovered(origin)) {
      this.whole.add(origin.id);
      this.leaveOut(origin.id, 'replay');
      return;
    }
    if (isChosen && refused.known < origin.refused)
      throw new SluiceError(
        'REPLAY_INCOMPLETE',
        `${refused.known} of ${origin.refused} dead letters of job ${origin.id} are known so far.`,
        { job: origin.id },
      );
    const records = isChosen ? refused.open : placed.records;
    const gone = isChosen ? this.goneOf(refused) : { batches: goneBatches, records: goneRecords };
    if (gone.batches > 0) {
      this.deleted.jobs += 1;
      this.deleted.batches += gone.batches;
      this.deleted.records += gone.records;
    }
    if (batches === 0 || (isChosen && records === 0)) {
      this.leaveOut(origin.id, gone.batches > 0 ? 'expired' : 'nothing');
      return;
    }
    const settings = this.settingsFor(origin, isChosen);
    if (settings.mode === 'replace') {
      if (origin.totalBatches === null) {
        this.refuse(origin, 'unfinished');
        return;
      }
      if (origin.totalBatches !== batches)
        throw new SluiceError(
          'REPLAY_EXPIRED',
          `Job ${origin.id} has ${origin.totalBatches} batches, and ${batches} are ${only === null ? 'left' : 'selected'}: its table is replaced by all of them, or not.`,
          { job: origin.id },
        );
    }
    const { id: job, firstEpoch, signed: isSealed } = origin;
    const address = rawAddress({ dataset: this.dataset.name, job, firstEpoch, batches, isSealed, ranges });
    const chosen = isChosen && { batches: only };
    this.jobs.push({ origin: job, address, settings, batches, records, chosen });
    if (gone.batches === 0 && (isChosen ? only === null || !this.isByOffsets : batches >= origin.batches))
      this.whole.add(job);
  }

  /** @throws SluiceError REPLAY_EXPIRED, REPLAY_EMPTY, REPLAY_PRUNED */
  plan(): ReplayPlan {
    const { dataset, jobs, request } = this;
    const { by = null, mode = null, only: which = 'all', atOnce = DEFAULT_AT_ONCE } = request;
    const deleted = { ...this.deleted, offsets: this.deletedOffsets };
    if (jobs.length === 0) throw this.nothing(deleted.batches + deleted.offsets > 0);
    this.assertOrder();
    const replaces = jobs.some(({ settings }) => settings.mode === 'replace');
    return {
      ...{ dataset: dataset.name, selection: this.selection(), which, mode, by },
      atOnce: replaces ? 1 : atOnce,
      ...{ jobs, covers: coverOf(jobs), deleted },
      leftOut: [...this.leftOut].map(([reason, left]) => ({ reason, ...left })),
    };
  }

  private get isByOffsets(): boolean {
    return this.request.offsets !== undefined;
  }

  /** @throws SluiceError REPLAY_REFUSED of a job that was named */
  private refuse({ id: job }: OriginJob, reason: LeftOutReason): void {
    if (this.request.job !== undefined && reason !== 'nothing')
      throw new SluiceError('REPLAY_REFUSED', `Job ${job} ${REASONS[reason]}.`, { job });
    this.leaveOut(job, reason);
  }

  /** RD3 */
  private isCovered({ replay, originJob }: OriginJob): boolean {
    return replay !== null && originJob !== null && this.whole.has(originJob);
  }

  /** Chosen records whose batches are deleted; by offsets, those of other batches were not selected. */
  private goneOf({ otherOpen, otherBatches }: KnownRefused): { batches: number; records: number } {
    return this.isByOffsets ? { batches: 0, records: 0 } : { batches: otherBatches, records: otherOpen };
  }

  /** RD4; offsets and jobs that are named are the operator's own choice, and what is not visible yet has no place in the order. */
  private assertOrder(): void {
    const { pruned, dataset, request } = this;
    const { only = 'all' } = request;
    if (pruned === null || only !== 'all') return;
    const needsOrder = this.jobs.find(
      ({ settings: { mode } }) => mode === 'replace' || (mode === 'upsert' && !this.isVersioned),
    );
    if (needsOrder === undefined) return;
    throw new SluiceError(
      'REPLAY_PRUNED',
      `Up to ${pruned.jobs} jobs of the span are of the stream of ${dataset.name}, and their rows are deleted (the last of the hour before ${pruned.until.toISOString()}): without them, job ${needsOrder.origin} in mode ${needsOrder.settings.mode} could put older rows over theirs.`,
      { dataset: dataset.name, job: needsOrder.origin },
    );
  }

  private selection(): ReplayPlan['selection'] {
    const { job, from, to, offsets } = this.request;
    if (job !== undefined) return { job };
    if (offsets !== undefined) return { offsets };
    return { ...(from === undefined ? {} : { from }), to: to ?? new Date().toISOString() };
  }

  private reasonAgainst(origin: OriginJob): LeftOutReason | null {
    const { state, dryRun, resumable, startedAt, isOvertaken } = origin;
    const { job, only = 'all' } = this.request;
    const isNamed = job !== undefined;
    if (dryRun) return 'dry-run';
    if (!isFinal(state)) return 'active';
    if (state === 'failed' && resumable) return 'resumable';
    if (startedAt === null) return 'nothing';
    if (only === 'missing' && !this.chooses(origin) && isOvertaken) return 'overtaken';
    return only === 'all' && state !== 'succeeded' && !isNamed ? 'unsuccessful' : null;
  }

  /** RD1 and RD2 */
  private settingsFor(origin: OriginJob, isChosen: boolean): ReplayedSettings {
    const mode = this.modeFor(origin, isChosen);
    return {
      mode,
      strict: !isChosen && origin.strict,
      maxRefusedShare: isChosen ? 1 : origin.maxRefusedShare,
      // What was loaded before may be smaller than what is there now.
      maxShrinkShare: null,
      existingKeys: mode === 'append' ? origin.existingKeys : 'supersede',
      breaker: isChosen ? null : origin.breaker,
      options: optionsOf(this.dataset, origin.options),
    };
  }

  private modeFor({ id, mode: own }: OriginJob, isChosen: boolean): WriteMode {
    const { writeModes, name } = this.dataset;
    const wanted = this.request.mode ?? own;
    const mode =
      isChosen && wanted === 'replace'
        ? (['upsert', 'append'] as const).find((one) => writeModes.includes(one))
        : writeModes.find((one) => one === wanted);
    if (mode !== undefined) return mode;
    throw new SluiceError(
      'REPLAY_REFUSED',
      isChosen
        ? `Some records of job ${id} cannot be loaded again: ${name} allows replace only, which would put them in the place of the table.`
        : `Job ${id} was in mode ${own}, and ${name} allows ${writeModes.join(', ')} now: choose one with --mode.`,
      { job: id },
    );
  }

  private nothing(isDeleted: boolean): SluiceError {
    const left = [...this.leftOut].map(([reason, { jobs, example }]) => {
      const more = jobs > 1 ? ` (and ${jobs - 1} more)` : '';
      return `job ${example}${more} ${REASONS[reason]}`;
    });
    const what = left.length === 0 ? 'no job of it is there' : left.join('; ');
    return isDeleted
      ? new SluiceError('REPLAY_EXPIRED', `Nothing of the selection is left in the raw topic: ${what}.`)
      : new SluiceError('REPLAY_EMPTY', `The selection covers nothing: ${what}.`);
  }
}

function coverOf(jobs: readonly PlannedReplayJob[]): ReplayCover {
  return {
    jobs: jobs.length,
    batches: jobs.reduce((sum, { batches }) => sum + batches, 0),
    records: jobs.reduce((sum, { records }) => sum + records, 0),
  };
}

/** Options that the dataset does not have any more, or not with that value, are its defaults. */
function optionsOf(dataset: Dataset, options: OptionValues): OptionValues {
  const kept = Object.entries(options).filter(
    ([name, value]) => resolveOptions(dataset, { [name]: value }).problems.length === 0,
  );
  return resolveOptions(dataset, Object.fromEntries(kept)).values;
}
