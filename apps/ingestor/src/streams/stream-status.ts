import { setTimeout as delay } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import type { StreamHour, StreamPartition, StreamView } from '#api/streams.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { KeptAdmin } from '#common/kafka/transport/kept-admin.js';
import { KAFKA } from '#common/providers/tokens.js';
import { inboxOf, topicOf } from '#core/message/topics.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { type LogEnds, lagOf } from '#core/stream/position.js';
import { DEFAULT_STREAM_SETTINGS } from '#core/stream/range-builder.js';
import type { Stream } from '#core/stream/stream.entity.js';
import { StreamRepository } from '#core/stream/stream.repository.js';

/** The rest of a stream's status does not wait longer for its inbox. */
const LONGEST_ANSWER_MS = 2_000;

/** How streams stand: from their rows, their jobs and their inboxes, whichever ingestor holds them. */
@Injectable()
export class StreamStatus implements BeforeApplicationShutdown {
  private readonly admin: KeptAdmin;
  private readonly asked = new Map<string, Promise<readonly LogEnds[] | null>>();

  constructor(
    private readonly streams: StreamRepository,
    private readonly registry: DatasetRegistry,
    @Inject(KAFKA) kafka: Kafka,
  ) {
    this.admin = new KeptAdmin(kafka);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.admin.close();
  }

  /** Of every dataset that has an inbox or had a stream, by name. */
  async all(): Promise<StreamView[]> {
    const rows = new Map((await this.streams.all()).map((row) => [row.dataset, row]));
    const names = new Set([
      ...rows.keys(),
      ...this.registry
        .all()
        .filter(({ inbox }) => inbox !== undefined)
        .map(({ name }) => name),
    ]);
    return Promise.all([...names].sort().map((name) => this.viewOf(name, rows.get(name) ?? null)));
  }

  /** @throws SluiceError DATASET_UNKNOWN, NO_INBOX */
  async of(dataset: string): Promise<StreamView> {
    const row = await this.streams.find(dataset);
    // A stream of a dataset whose inbox was taken away is still to be seen.
    if (row === null) inboxOf(this.registry.get(dataset));
    return this.viewOf(dataset, row);
  }

  /** @throws SluiceError DATASET_UNKNOWN, NO_INBOX */
  async hours(dataset: string, last: number): Promise<StreamHour[]> {
    if ((await this.streams.find(dataset)) === null) inboxOf(this.registry.get(dataset));
    return this.streams.hours(dataset, last);
  }

  private async viewOf(dataset: string, row: Stream | null): Promise<StreamView> {
    const topic = topicOf(dataset, 'inbox');
    const ends = await this.endsOf(topic);
    const facts = await this.streams.jobFacts({ dataset, lastJob: row?.lastJob ?? null });
    const lagRecords = ends === null ? null : lagOf(row?.position ?? lowEnds(ends), ends);
    const { maxRecords, maxBytes, maxMs } = row ?? DEFAULT_STREAM_SETTINGS;
    return {
      ...{ dataset, topic },
      state: row?.state ?? 'stopped',
      reason: row?.reason ?? null,
      detail: row?.detail ?? null,
      wait: row?.wait ?? null,
      since: row?.stateSince.toISOString() ?? null,
      settings: { maxRecords, maxBytes, maxMs },
      attended: (row?.leaseUntil?.getTime() ?? 0) > Date.now(),
      partitions: partitionsOf(row, ends),
      lagRecords,
      lagSeconds: lagSecondsOf(row, lagRecords, facts.inFlight),
      recordsPerSecond: facts.recordsOfLastMinute / 60,
      jobs: row?.jobs ?? 0,
      records: row?.records ?? 0,
      jobsInFlight: facts.inFlight,
      lastJob: facts.lastJob,
      findings: facts.findings,
    };
  }

  /** @returns null when Kafka does not answer soon, or there is no such topic */
  private async endsOf(topic: string): Promise<readonly LogEnds[] | null> {
    // One question a topic: kafkajs asks for half a minute while brokers are away.
    const asked = this.asked.get(topic) ?? this.ask(topic);
    this.asked.set(topic, asked);
    // What it throws later is for the next one to ask.
    asked.catch(() => undefined);
    const settled = new AbortController();
    const waited = delay(LONGEST_ANSWER_MS, null, { signal: settled.signal }).catch(() => null);
    try {
      return await Promise.race([asked, waited]);
    } finally {
      settled.abort();
    }
  }

  private async ask(topic: string): Promise<readonly LogEnds[] | null> {
    try {
      return await this.admin.offsetsOf(topic);
    } catch (error) {
      if (error instanceof SluiceError) return null;
      throw error;
    } finally {
      this.asked.delete(topic);
    }
  }
}

function lowEnds(ends: readonly LogEnds[]): Record<string, { next: number }> {
  return Object.fromEntries(ends.map(({ partition, low }) => [partition, { next: low }]));
}

function partitionsOf(row: Stream | null, ends: readonly LogEnds[] | null): StreamPartition[] {
  const position = row?.position ?? {};
  const found = new Map((ends ?? []).map((one) => [one.partition, one]));
  const numbers = new Set([...Object.keys(position).map(Number), ...found.keys()]);
  return [...numbers]
    .sort((a, b) => a - b)
    .map((partition) => ({
      partition,
      position: position[partition]?.next ?? null,
      low: found.get(partition)?.low ?? null,
      high: found.get(partition)?.high ?? null,
    }));
}

/** By what the owner saw last; where nothing waits there is no lag. */
function lagSecondsOf(row: Stream | null, lagRecords: number | null, inFlight: number): number | null {
  if (lagRecords === 0 && inFlight === 0) return 0;
  const oldest = row?.oldestWaiting ?? null;
  return oldest === null ? null : Math.max(0, (Date.now() - oldest.getTime()) / 1_000);
}
