import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { SendableMessage } from '#common/kafka/message.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { SluiceClient } from '../../apps/cli/src/client.js';
import type { System } from '../support/system.js';
import type { ChaosDatabase } from './chaos-database.js';
import { Patience } from './patience.js';

export const STREAMED_DATASET = 'webshop-orders';
const TOPIC = `sluice.${STREAMED_DATASET}.inbox`;
const KEYS = 300;
const PORTION = 20;
const EVERY_MS = 100;
/** One in N has a currency that the contract refuses, under a key that no other has. */
const REFUSED_EVERY = 97;
const INGESTORS = ['ingestor', 'ingestor-2'];

/** What of a stream's table is not as it was sent. */
export interface StreamVerdict {
  readonly problems: readonly string[];
  readonly rowsChecked: number;
  readonly lost: number;
  readonly doubled: number;
}

/**
 * A producer and the stream of a second dataset, beside the jobs of the rounds: whatever a round's faults do, at its end the
 * table holds the last record of each key, and the stream's jobs have read each message of the inbox once.
 *
 * A portion is sent again until it is acknowledged, and the next one only then: it may stand in the inbox twice, but never
 * behind a later one of its keys.
 */
export class StreamBeside {
  private readonly publisher: Publisher;
  private readonly last = new Map<string, number>();
  private sent = 0;
  private producing: Promise<void> = Promise.resolve();
  private stopping = new AbortController();
  private turn = 0;

  /** @param isOn false: nothing is sent, and nothing judged */
  constructor(
    private readonly system: System,
    private readonly database: ChaosDatabase,
    private readonly signal: AbortSignal,
    readonly isOn: boolean,
  ) {
    this.publisher = new Publisher(
      createKafka({ brokers: system.brokers, clientId: 'chaos-producer', logger: pino({ level: 'silent' }) }),
    );
  }

  /** The stream runs, and records are sent, until {@link finish}. */
  async begin(): Promise<void> {
    if (!this.isOn) return;
    await this.patience().until('the stream to start', () =>
      this.ask((client) => client.startStream(STREAMED_DATASET, { maxMs: 300, maxRecords: 2_000 })),
    );
    this.stopping = new AbortController();
    this.producing = this.produce(this.stopping.signal);
  }

  /** Ends the sending, and waits until nothing of it is under way. @throws StuckError */
  async finish(): Promise<void> {
    if (!this.isOn) return;
    this.stopping.abort();
    await this.producing;
    await this.patience().until('the stream to be drained', async () => {
      const view = await this.ask((client) => client.stream(STREAMED_DATASET));
      if (view === null) return false;
      if (view.state === 'paused' || view.state === 'stopped') return true;
      if (view.state === 'running') await this.ask((client) => client.drainStream(STREAMED_DATASET));
      return false;
    });
  }

  async judge(): Promise<StreamVerdict> {
    if (!this.isOn) return { problems: [], rowsChecked: 0, lost: 0, doubled: 0 };
    const view = await this.patience().until('the stream', () =>
      this.ask((client) => client.stream(STREAMED_DATASET)),
    );
    const problems: string[] = [];
    if (view.state !== 'stopped')
      problems.push(`the stream is ${view.state} (${view.reason ?? ''}): ${view.detail?.message ?? ''}`);
    const rows = await this.rows<{ order_no: string; total: string }>(
      'SELECT order_no, total::text FROM public.webshop_order',
    );
    const found = new Map(rows.map(({ order_no, total }) => [order_no, Number(total)]));
    const wrong = [...this.last].filter(([key, total]) => found.get(key) !== total);
    const lost = wrong.length;
    const doubled = rows.length - found.size + [...found.keys()].filter((key) => !this.last.has(key)).length;
    for (const [key, total] of wrong.slice(0, 3))
      problems.push(`order ${key} has ${found.get(key) ?? 'no row'}, and the last record of it ${total}`);
    if (doubled > 0) problems.push(`${doubled} orders more than were sent`);
    problems.push(...(await this.judgeJobs(view.partitions)));
    return { problems, rowsChecked: rows.length, lost, doubled };
  }

  async close(): Promise<void> {
    this.stopping.abort();
    await this.producing;
    await this.publisher.disconnect();
  }

  /** Their ranges follow each other without gap, up to the end of the inbox, and they have read as many as these hold. */
  private async judgeJobs(
    partitions: readonly { readonly partition: number; readonly high: number | null }[],
  ): Promise<string[]> {
    const jobs = await this.rows<{ id: string; state: string; display: string; read: string | null }>(
      `SELECT id, state, source->>'display' AS display, counts->>'read' AS read FROM sluice.job WHERE stream IS NOT NULL ORDER BY id`,
    );
    const problems: string[] = [];
    const ends = new Map<number, number>();
    for (const { id, state, display, read } of jobs) {
      if (state !== 'succeeded') problems.push(`job ${id} of the stream is ${state}`);
      let records = 0;
      for (const [, partition, from, to] of display.matchAll(/(\d+)=(\d+)-(\d+)/g)) {
        const expected = ends.get(Number(partition)) ?? 0;
        if (Number(from) !== expected)
          problems.push(`job ${id} begins at ${from ?? ''} and not at ${expected}`);
        ends.set(Number(partition), Number(to));
        records += Number(to) - Number(from);
      }
      if (Number(read) !== records) problems.push(`job ${id} has read ${read ?? '?'} of ${records} messages`);
    }
    for (const { partition, high } of partitions)
      if (high !== (ends.get(partition) ?? 0))
        problems.push(
          `partition ${partition} ends at ${high ?? '?'}, and the jobs at ${ends.get(partition) ?? 0}`,
        );
    return problems.slice(0, 5);
  }

  private async produce(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const portion = Array.from({ length: PORTION }, () => this.next());
      for (;;) {
        try {
          await this.publisher.send(portion);
          break;
        } catch {
          // What was sent has to arrive, or what the table must hold is not known: also when the round is over.
          if (this.signal.aborted) return;
          await sleep(EVERY_MS);
        }
      }
      await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  private next(): SendableMessage {
    const number = this.sent;
    this.sent += 1;
    const isRefused = number % REFUSED_EVERY === 0;
    const orderNo = isRefused ? `X-${number}` : `O-${(number * 7) % KEYS}`;
    if (!isRefused) this.last.set(orderNo, number);
    const order = {
      orderNo,
      placedAt: '2026-09-01T08:30:00Z',
      currency: isRefused ? '?' : 'EUR',
      total: number,
    };
    return { topic: TOPIC, key: orderNo, headers: {}, value: Buffer.from(JSON.stringify(order)) };
  }

  private rows<R extends object>(sql: string): Promise<R[]> {
    return this.patience().until('the database', () =>
      this.database.rowsOrNull<R & Record<string, unknown>>(sql),
    );
  }

  private patience(): Patience {
    return new Patience(() => this.progress(), this.signal);
  }

  private async progress(): Promise<string | null> {
    const rows = await this.database.rowsOrNull(
      `SELECT state, position, (SELECT count(*) FROM sluice.job WHERE stream IS NOT NULL AND state = 'succeeded') FROM sluice.stream`,
    );
    return rows === null ? null : JSON.stringify(rows);
  }

  /** @returns null when another ingestor has to be asked, or the same one again */
  private async ask<T>(work: (client: SluiceClient) => Promise<T>): Promise<T | null> {
    const name = INGESTORS[this.turn++ % INGESTORS.length] ?? '';
    const { trackerUrl, token } = this.system;
    const client = new SluiceClient({ ingestorUrl: this.system.urlOf(name), trackerUrl, token });
    return work(client).catch(() => null);
  }
}
