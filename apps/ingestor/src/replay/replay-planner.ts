import { Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import { DataSource } from 'typeorm';
import type { ReplayRequest } from '#api/replays.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { KAFKA } from '#common/providers/tokens.js';
import { poolOf } from '#common/postgres/typeorm.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { MessageSeal } from '#core/message/message-seal.js';
import {
  type BatchPlace,
  type FoundBatch,
  findBatches,
  foundIn,
  pickBatches,
} from '#core/raw-log/job-batches.js';
import { type OffsetRange, RawLogReader } from '#core/raw-log/raw-log-reader.js';
import { planContract } from '#core/record/compile/contract-plan.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { ReplayPlan } from '#core/replay/replay.js';
import {
  type KnownRefused,
  type LedgerPart,
  type OriginJob,
  type TopicEnds,
  batchesThere,
  knownRefused,
  ledgerParts,
  prunedBetween,
  selectOrigins,
} from '#core/replay/select-origins.js';
import { IngestorConfig } from '../ingestor.config.js';
import { type PlacedOrigin, ReplayDraft } from './replay-draft.js';
import { assertOffsets, assertRequest } from './replay-request.js';

/** Jobs of one replay; their rows, settings and places are in memory while it is planned. */
const MAX_JOBS = 20_000;
const NONE_REFUSED: KnownRefused = { known: 0, open: 0, otherOpen: 0, otherBatches: 0 };
/** A job's messages are timed by its ingestor's clock, and its row by the database's. */
const CLOCK_SLACK_MS = 2 * 60 * 1_000;

/**
 * Finds what a replay covers, and what retention has deleted of it, without disturbing any consumer.
 *
 * - RN1: where the batches of a job stand is read from the ledger if it succeeded, else from the topic, in the time in which the
 *   job was under way: the ledger of other jobs is dropped after they have ended, so it may hold any part of them.
 */
@Injectable()
export class ReplayPlanner {
  private readonly seal: MessageSeal | null;

  constructor(
    private readonly registry: DatasetRegistry,
    private readonly database: DataSource,
    @Inject(KAFKA) private readonly kafka: Kafka,
    config: IngestorConfig,
  ) {
    this.seal = MessageSeal.of(config.messageKey);
  }

  /**
   * @param signal ends the planning
   * @throws ProblemError 422; SluiceError JOB_UNKNOWN, TOPIC_MISSING, REPLAY_REFUSED, REPLAY_EMPTY, REPLAY_EXPIRED,
   *   REPLAY_TOO_LARGE, REPLAY_INCOMPLETE, REPLAY_PRUNED
   */
  async plan(request: ReplayRequest, signal: AbortSignal): Promise<ReplayPlan> {
    const dataset = assertRequest(request, this.registry.all());
    const reader = await RawLogReader.open(this.kafka, dataset.name);
    try {
      const ends = await reader.ends();
      const { offsets } = request;
      const isVersioned = planContract(dataset).tables.every(({ version }) => version !== null);
      const draft = new ReplayDraft(dataset, request, isVersioned);
      const origins =
        offsets === undefined
          ? await this.byRows(dataset, request, reader, ends, draft, signal)
          : await this.byOffsets(dataset, assertOffsets(offsets, ends), reader, ends, draft, signal);
      await this.addAll(draft, origins);
      return draft.plan();
    } finally {
      await reader.close();
    }
  }

  /** By their rows: one job, or those of a span of time. */
  private async byRows(
    dataset: Dataset,
    { job, from, to }: ReplayRequest,
    reader: RawLogReader,
    ends: TopicEnds,
    draft: ReplayDraft,
    signal: AbortSignal,
  ): Promise<PlacedOrigin[]> {
    const span = { from: new Date(from ?? 0), to: to === undefined ? new Date() : new Date(to) };
    const selection = job === undefined ? span : { ids: [job] };
    const pool = poolOf(this.database);
    const found = await selectOrigins(pool, { dataset: dataset.name, ...selection }, MAX_JOBS + 1);
    if (job !== undefined && found.length === 0)
      throw new SluiceError('JOB_UNKNOWN', `No job of ${dataset.name} has the id ${job}.`, { job });
    if (found.length > MAX_JOBS)
      throw new SluiceError(
        'REPLAY_TOO_LARGE',
        `The span covers more than ${MAX_JOBS} jobs of ${dataset.name}.`,
        { dataset: dataset.name },
      );
    // After the rows: a job that is pruned in between is in both, and one that is in neither would not be reported.
    const pruned = job === undefined ? await prunedBetween(pool, dataset.name, span) : null;
    if (pruned !== null) draft.leaveOutPruned(pruned);
    const origins = found.filter((origin) => draft.takes(origin));
    const parts = await ledgerParts(
      pool,
      dataset.name,
      origins.filter(({ state }) => state === 'succeeded').map(({ id }) => id),
      ends,
    );
    const placed: PlacedOrigin[] = [];
    for (const origin of origins) {
      const ofLedger = parts.get(origin.id);
      if (ofLedger === undefined) {
        const { one, found: batches } = await this.scanned(origin, reader, ends, signal);
        placed.push({ ...one, only: draft.chooses(origin) ? batches : null });
        continue;
      }
      const place = placeOf(ofLedger);
      const isPart = draft.chooses(origin) && place.goneBatches > 0;
      const only = isPart ? await batchesThere(pool, dataset.name, origin.id, ends) : null;
      placed.push({ origin, ...place, only });
    }
    return placed;
  }

  /** RN1 */
  private async scanned(
    origin: OriginJob,
    reader: RawLogReader,
    ends: TopicEnds,
    signal: AbortSignal,
  ): Promise<{ readonly one: PlacedOrigin; readonly found: readonly number[] }> {
    const { id: job, firstEpoch, signed: isSealed, startedAt, createdAt, finishedAt } = origin;
    const begin = (startedAt ?? createdAt).getTime() - CLOCK_SLACK_MS;
    const end = (finishedAt ?? new Date()).getTime() + CLOCK_SLACK_MS;
    const [froms, tos] = [await reader.offsetsAt(new Date(begin)), await reader.offsetsAt(new Date(end))];
    const ranges = [...ends].map(([partition, { low, high }]) => ({
      partition,
      from: Number(froms.get(partition) ?? low),
      to: Number(tos.get(partition) ?? high),
    }));
    const places = await findBatches(reader, ranges, { job, firstEpoch, isSealed }, this.seal, signal);
    const sums = sumOf(places);
    return {
      one: {
        ...{ origin, ranges: rangesOf(places), ...sums, only: null },
        goneBatches: Math.max(0, origin.batches - sums.batches),
        goneRecords: Math.max(0, origin.records - sums.records),
      },
      found: places.map(({ batch }) => batch),
    };
  }

  /** By what stands in ranges of the raw topic. */
  private async byOffsets(
    dataset: Dataset,
    wanted: readonly OffsetRange[],
    reader: RawLogReader,
    ends: TopicEnds,
    draft: ReplayDraft,
    signal: AbortSignal,
  ): Promise<PlacedOrigin[]> {
    const ranges = wanted.map(({ partition, from, to }) => {
      const low = Number(ends.get(partition)?.low ?? 0n);
      draft.deletedOffsets += Math.max(0, Math.min(to, low) - from);
      return { partition, from: Math.min(to, Math.max(from, low)), to };
    });
    const found = new Map<string, FoundBatch[]>();
    for await (const messages of reader.scan(ranges, signal))
      for (const message of messages) {
        const one = foundIn(message, this.seal);
        if (one === null) continue;
        const ofJob = found.get(one.job) ?? [];
        found.set(one.job, ofJob);
        ofJob.push(one);
      }
    const ids = [...found.keys()];
    const pool = poolOf(this.database);
    const origins = await selectOrigins(pool, { dataset: dataset.name, ids }, ids.length);
    const known = new Set(origins.map(({ id }) => id));
    for (const id of ids) if (!known.has(id)) draft.leaveOut(id, 'unknown');
    const placed: PlacedOrigin[] = [];
    for (const origin of origins.filter((one) => draft.takes(one))) {
      const { id: job, firstEpoch, signed: isSealed } = origin;
      const places = pickBatches(found.get(job) ?? [], { job, firstEpoch, isSealed });
      const only = places.map(({ batch }) => batch);
      placed.push({
        ...{ origin, ranges: rangesOf(places), ...sumOf(places), only },
        ...{ goneBatches: 0, goneRecords: 0 },
      });
    }
    return placed;
  }

  /** Of jobs that give their refused records alone, the tracker says which these are. */
  private async addAll(draft: ReplayDraft, placed: readonly PlacedOrigin[]): Promise<void> {
    const pool = poolOf(this.database);
    const choosing = placed.filter((one) => draft.chooses(one.origin));
    const whole = choosing.filter(({ only }) => only === null).map(({ origin }) => origin.id);
    const refused = await knownRefused(pool, whole);
    for (const one of placed) {
      const { origin, only } = one;
      const known =
        only === null || !draft.chooses(origin) ? refused : await knownRefused(pool, [origin.id], only);
      draft.add(one, known.get(origin.id) ?? NONE_REFUSED);
    }
  }
}

function placeOf(parts: readonly LedgerPart[]): Omit<PlacedOrigin, 'origin' | 'only'> {
  const sum = (of: (part: LedgerPart) => number): number =>
    parts.reduce((total, part) => total + of(part), 0);
  const [goneBatches, goneRecords] = [sum((part) => part.goneBatches), sum((part) => part.goneRecords)];
  return {
    ranges: parts.flatMap(({ partition, first, last }) =>
      first === null || last === null ? [] : [{ partition, from: first, to: last + 1 }],
    ),
    batches: sum((part) => part.batches) - goneBatches,
    records: sum((part) => part.records) - goneRecords,
    ...{ goneBatches, goneRecords },
  };
}

function sumOf(places: readonly BatchPlace[]): { batches: number; records: number } {
  return { batches: places.length, records: places.reduce((sum, { records }) => sum + records, 0) };
}

function rangesOf(places: readonly BatchPlace[]): OffsetRange[] {
  const ranges = new Map<number, OffsetRange>();
  for (const { partition, offset } of places) {
    const [from, to] = [Number(offset), Number(offset) + 1];
    const known = ranges.get(partition) ?? { partition, from, to };
    ranges.set(partition, { partition, from: Math.min(known.from, from), to: Math.max(known.to, to) });
  }
  return [...ranges.values()].sort((a, b) => a.partition - b.partition);
}
