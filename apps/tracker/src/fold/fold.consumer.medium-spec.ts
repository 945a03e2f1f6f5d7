import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { type Logger, pino } from 'pino';
import { Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import type { OutgoingMessage } from '#common/kafka/message.js';
import type { Delivery } from '#common/kafka/transport/batch-handler.decorator.js';
import { MessageParking } from '#common/kafka/transport/message-parking.js';
import { createPool } from '#common/postgres/pool.js';
import { Column, Table } from '#core/dataset/columns.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { MaxCharacters } from '#core/dataset/rules.js';
import { isFinal } from '#core/job/job-state.js';
import { Job } from '#core/job/job.entity.js';
import { type DeadLetter, encodeDeadLetter } from '#core/message/dead-letter-message.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { type BatchEvent, type ParkedEvent, encodeStatusEvent } from '#core/message/status-event.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { metricValues } from '#test/support/metric-values.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { JobStreams } from '../live/job-streams.js';
import { DEFAULT_LIVE_TIMING } from '../live/live-timing.js';
import { FoldConsumer } from './fold.consumer.js';
import { foldsOver } from '../testing/folds.js';
import {
  FULL_DELIVERY_DEAD_LETTERS,
  LONGEST_DELAY_MS,
  LONGEST_REST_MS,
  DeadLetterPace,
  RESTS_A_DELIVERY,
  SHORTEST_REST_MS,
} from './dead-letter-pace.js';
import { MetricLabels } from './metric-labels.js';
import { ParkedMessageRepository } from './parked-message.repository.js';
import { TrackerMetrics } from './tracker.metrics.js';

@Table({ name: 'shop', key: ['name'] })
class Shop {
  @Column({ source: 'name' })
  @MaxCharacters(5, { code: 'BAD' })
  @MaxCharacters(9, { code: 'WORSE' })
  name!: string | null;
}
const SHOPS = new DatasetRegistry([
  {
    name: 'shops',
    dataset: { name: 'shops', contract: Shop } as unknown as Dataset,
    folder: '',
    schema: 'public',
    tables: ['shop'],
  },
]);

describe('FoldConsumer', () => {
  let server: TestDatabase;
  let database: DataSource;
  let pool: pg.Pool;
  let registry: Registry;
  let pace: DeadLetterPace;
  let consumer: FoldConsumer;
  let logged: Record<string, unknown>[];

  beforeAll(async () => {
    server = await startMigratedDatabase();
    database = await controlDatabase({ url: server.url, applicationName: 'consumer test' }).initialize();
    pool = createPool({ url: server.url, applicationName: 'consumer test', maxConnections: 2 });
  });
  afterAll(async () => {
    await pool.end();
    await database.destroy();
    await server.stop();
  });
  beforeEach(async () => {
    await database.query('TRUNCATE sluice.job CASCADE');
    logged = [];
    const write = (line: string): void => {
      logged.push(JSON.parse(line) as Record<string, unknown>);
    };
    const logger: Logger = pino({ level: 'warn' }, { write });
    registry = new Registry();
    const folds = foldsOver(pool);
    await folds.clear();
    await pool.query('TRUNCATE sluice.parked_message');
    const parkedMessages = new ParkedMessageRepository(pool);
    pace = new DeadLetterPace(pool);
    consumer = new FoldConsumer(
      folds,
      pace,
      parkedMessages,
      new TrackerMetrics(registry, new MetricLabels(SHOPS)),
      new MessageParking(registry, logger, (parked) => parkedMessages.keep(parked)),
      new JobStreams({ detail: () => Promise.resolve(null) }, logger, DEFAULT_LIVE_TIMING),
    );
  });

  const counted = (name: string): Promise<Record<string, number>> => metricValues(registry, name);

  const parked = async (): Promise<unknown[][]> => {
    const { rows } = await pool.query<unknown[]>({
      text: 'SELECT topic, partition, "offset", reason FROM sluice.parked_message ORDER BY 1, 2, 3',
      rowMode: 'array',
    });
    return rows;
  };

  it('skips an unreadable message: logs it, counts it, and continues', async () => {
    const poison = { ...encodeStatusEvent(batchEvent({})), value: Buffer.from('{}') };
    await consumer.foldStatus(delivery([poison, encodeStatusEvent(batchEvent({})), poison]));
    expect(logged).toEqual([
      expect.objectContaining({
        level: 50,
        code: 'MESSAGE_INVALID',
        topic: 'sluice.status',
        partition: 2,
        offset: '0',
      }),
      expect.objectContaining({
        level: 50,
        code: 'MESSAGE_INVALID',
        topic: 'sluice.status',
        partition: 2,
        offset: '2',
      }),
    ]);
    expect(await counted('sluice_parked_messages_total')).toEqual({ 'sluice.status': 2 });
    expect(await counted('sluice_records_total')).toEqual({ 'shops validate': 10 });
    expect(await parked()).toEqual([
      ['sluice.status', 2, '0', 'its value is not a status event.'],
      ['sluice.status', 2, '2', 'its value is not a status event.'],
    ]);
  });

  it('keeps what others have parked, once each, with the latest reason and time, in any order', async () => {
    const told = (offset: string, second: number, reason: string): OutgoingMessage =>
      encodeStatusEvent({
        type: 'parked',
        topic: 'sluice.shops.raw',
        partition: 1,
        offset,
        reason,
        at: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString(),
      });
    const events = [
      told('7', 1, 'early'),
      told('7', 2, 'late'),
      told('8', 1, 'other'),
      told('7', 1, 'early'),
    ];
    const expected = [
      ['sluice.shops.raw', 1, '7', 'late'],
      ['sluice.shops.raw', 1, '8', 'other'],
    ];
    await consumer.foldStatus(delivery(events));
    expect(await parked()).toEqual(expected);
    for (const event of events) await consumer.foldStatus(delivery([event]));
    expect(await parked()).toEqual(expected);
    expect(await counted('sluice_parked_messages_total')).toEqual({});
  });

  it('stores a parked event that is itself unreadable as one more parked message, without an event', async () => {
    const event: ParkedEvent = {
      type: 'parked',
      topic: 'sluice.shops.raw',
      partition: 1,
      offset: '7',
      reason: 'x',
      at: '2026-01-01T00:00:00.000Z',
    };
    await consumer.foldStatus(delivery([encodeStatusEvent({ ...event, offset: '-1' })]));
    expect(await parked()).toEqual([['sluice.status', 2, '0', 'its value is not a status event.']]);
  });

  it('takes a delivery of nothing but poison', async () => {
    const poison = { ...encodeDeadLetter(letter({})), headers: {} };
    await consumer.indexDeadLetters(delivery([poison]));
    expect(await counted('sluice_parked_messages_total')).toEqual({ 'sluice.shops.dead': 1 });
  });

  it('counts records and reasons once, however often they are delivered', async () => {
    const events = [batchEvent({}), batchEvent({ batch: 1 }), batchEvent({ stage: 'load', records: 5 })];
    const letters = [
      letter({
        record: 1,
        findings: [finding('BAD', 'error'), finding('WORSE', 'error'), finding('ODD', 'warning')],
      }),
      letter({ record: 2, findings: [finding('BAD', 'error')] }),
    ];
    for (let time = 0; time < 3; time++) {
      await consumer.foldStatus(delivery(events.map(encodeStatusEvent)));
      await consumer.indexDeadLetters(delivery(letters.map(encodeDeadLetter)));
    }
    expect(await counted('sluice_records_total')).toEqual({ 'shops validate': 20, 'load shops': 5 });
    expect(await counted('sluice_refused_records_total')).toEqual({ 'BAD shops': 2, 'WORSE shops': 1 });
  });

  it('gives metrics no name that is not registered, whatever messages say', async () => {
    const strange = Array.from({ length: 50 }, (_, at) => at);
    await consumer.foldStatus(
      delivery(strange.map((at) => encodeStatusEvent(batchEvent({ batch: at, dataset: `strange-${at}` })))),
    );
    const findings = strange.map((at) => finding(`STRANGE_${at}`, 'error'));
    await consumer.indexDeadLetters(delivery([encodeDeadLetter(letter({ record: 9, findings }))]));
    expect(Object.keys(await counted('sluice_records_total'))).toEqual(['other validate']);
    expect(Object.keys(await counted('sluice_tracker_lag_seconds'))).toEqual(['other']);
    expect(await counted('sluice_refused_records_total')).toEqual({ 'other shops': 50 });
  });

  describe('gives way to jobs under way', () => {
    const restAfter = async (count: number, ageMs = 0): Promise<number> => {
      const letters = Array.from({ length: count }, (_, record) => encodeDeadLetter(letter({ record })));
      const rests: number[] = [];
      const rest = (restMs: number): void => void rests.push(restMs);
      await consumer.indexDeadLetters({ ...delivery(letters), writtenAt: Date.now() - ageMs, rest });
      return rests.reduce((sum, restMs) => sum + restMs, 0);
    };
    const insertJob = async (state: Job['state']): Promise<void> => {
      await database.getRepository(Job).insert(job('1', state) as object);
    };

    it.each(['running', 'finalizing'] as const)(
      'rests after many dead letters while a job is %s',
      async (state) => {
        await insertJob(state);
        const restMs = await restAfter(FULL_DELIVERY_DEAD_LETTERS);
        expect(restMs).toBeGreaterThanOrEqual(SHORTEST_REST_MS);
        expect(restMs).toBeLessThanOrEqual(LONGEST_REST_MS);
      },
    );

    it('rests the longer the more a delivery took, within bounds', async () => {
      await insertJob('running');
      const tookMs = 0.3 * (LONGEST_REST_MS / RESTS_A_DELIVERY);
      const rests = [0, tookMs, 60_000].map((ms) => pace.restAfter(FULL_DELIVERY_DEAD_LETTERS, 0, ms));
      expect(await Promise.all(rests)).toEqual([SHORTEST_REST_MS, 0.3 * LONGEST_REST_MS, LONGEST_REST_MS]);
    });

    it.each(['queued', 'paused', 'succeeded', 'failed', 'cancelled'] as const)(
      'never rests for a job that is %s (DP1)',
      async (state) => {
        await insertJob(state);
        expect(await restAfter(FULL_DELIVERY_DEAD_LETTERS)).toBe(0);
      },
    );

    it('does not rest after a few (DP2)', async () => {
      await insertJob('running');
      expect(await restAfter(FULL_DELIVERY_DEAD_LETTERS - 1)).toBe(0);
    });

    it('does not rest while dead letters are old (DP3)', async () => {
      await insertJob('running');
      expect(await restAfter(FULL_DELIVERY_DEAD_LETTERS, LONGEST_DELAY_MS + 1)).toBe(0);
    });
  });

  it('reports how far it is behind, by dataset', async () => {
    const at = new Date(Date.now() - 60_000).toISOString();
    await consumer.foldStatus(delivery([encodeStatusEvent(batchEvent({ at }))]));
    const { shops } = await counted('sluice_tracker_lag_seconds');
    expect(shops).toBeGreaterThanOrEqual(60);
  });
});

const JOB = '01890000-0000-7000-8000-000000000001';

function delivery(messages: readonly OutgoingMessage[]): Delivery {
  const topic = messages[0]?.topic ?? '';
  return {
    topic,
    partition: 2,
    messages: messages.map(({ headers, value }, index) => ({
      place: { topic, partition: 2, offset: String(index) },
      headers,
      value,
    })),
    writtenAt: Date.now(),
    progress: () => undefined,
    isStale: () => false,
    rest: () => undefined,
  };
}

function batchEvent(facts: Partial<BatchEvent>): BatchEvent {
  return {
    type: 'batch',
    dataset: 'shops',
    job: JOB,
    batch: 0,
    stage: 'validate',
    records: 10,
    bytes: 100,
    accepted: 8,
    refused: 2,
    skipped: 0,
    warnings: 0,
    findings: {},
    at: '2026-01-01T00:00:00.000Z',
    ...facts,
  };
}

function letter(facts: Partial<DeadLetter>): DeadLetter {
  return {
    dataset: 'shops',
    job: JOB,
    batch: 0,
    record: 0,
    line: 2,
    byteStart: 0,
    byteEnd: 1,
    stage: 'validate',
    findings: [],
    sqlstate: null,
    attempt: 0,
    columns: [],
    bytes: Buffer.from('x'),
    ...facts,
  };
}

function finding(code: string, severity: 'error' | 'warning'): DeadLetter['findings'][number] {
  return { code, field: null, message: '', severity };
}

function job(number: string, state: Job['state']): Partial<Job> {
  return {
    id: `01890000-0000-7000-8000-00000000000${number}`,
    dataset: 'shops',
    mode: 'replace',
    state,
    source: { kind: 'file', display: 'shops.csv', own: { trustedCaller: true } },
    secretUri: 'file:///shops.csv',
    dryRun: false,
    maxRefusedShare: 0.05,
    maxShrinkShare: null,
    options: {},
    contractVersion: 1,
    epoch: 1,
    announced: true,
    createdAt: new Date(),
    finishedAt: isFinal(state) ? new Date() : null,
    pauseReason: state === 'paused' ? 'operator' : null,
  };
}
