/**
 * Streams in a whole system: what producers send is in the tables, once, and the last message of a key wins, whatever
 * happens to the services and the broker in between (G1 to G5, G8).
 */
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { STREAM_FAULT_POINTS, type FaultPoint } from '#common/faults/fault-point.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { SendableMessage } from '#common/kafka/message.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { generate as generateOrders } from '../../fixtures/datasets/webshop-orders/generator.js';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { armFaultPoint, disarmFaultPoints, faultPointHit } from '../../support/fault-points.js';
import { startHaltingSource } from '../../support/halting-source.js';
import { KafkaView } from '../../support/kafka-view.js';
import { clientOf, jobEnd, lettersOf } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const CSV = 'tax-registration';
const JSON_SET = 'webshop-orders';
const COLUMNS =
  '營業地址,統一編號,總機構統一編號,營業人名稱,資本額,設立日期,組織別名稱,使用統一發票,行業代號,名稱,行業代號1,名稱1,行業代號2,名稱2,行業代號3,名稱3';
const KEYS = 40;

export const streams = scenario('streams', {}, (running) => {
  let system: System;
  let publisher: Publisher;
  /** What has been sent to the CSV inbox: how many, and of each key the last name. */
  let sent = 0;
  const last = new Map<string, string>();

  beforeAll(async () => {
    system = running();
    await query(system, 'TRUNCATE tax_registration, webshop_order CASCADE');
    publisher = new Publisher(
      createKafka({ brokers: system.brokers, clientId: 'producer', logger: pino({ level: 'silent' }) }),
    );
  });

  afterAll(() => publisher.disconnect());

  afterEach(async () => {
    disarmFaultPoints(system);
    for (const name of ['kafka', ...system.services]) {
      if (system.isRunning(name)) system.signal(name, 'SIGCONT');
      else await system.restart(name);
    }
  });

  /** The next records, each of one of KEYS keys with a name that no other record has. */
  async function produce(records: number): Promise<void> {
    const messages: SendableMessage[] = [];
    for (let at = 0; at < records; at++) {
      const key = String(10_000_000 + ((sent * 7) % KEYS));
      const name = `name ${sent}`;
      const value = Buffer.from(`addr,${key},,${name},1,,,N,,,,,,,,`);
      messages.push({ topic: `sluice.${CSV}.inbox`, key, headers: { columns: COLUMNS }, value });
      last.set(key, name);
      sent += 1;
    }
    await publisher.send(messages);
  }

  /**
   * Waits until everything that was sent is visible, and compares it with what was sent.
   * @param repeats the producer has sent some of it twice: a plain one does so when the broker does not answer
   */
  async function expectAll(repeats = false): Promise<void> {
    const client = clientOf(system);
    await client.drainStream(CSV);
    const view = await eventually(
      async () => {
        const found = await client.stream(CSV).catch(() => null);
        return found !== null && found.state !== 'draining' && found;
      },
      'the stream to be drained',
      120_000,
    );
    expect([view.state, view.detail, view.lagRecords]).toEqual(['stopped', null, 0]);
    const rows = await query<{ ban: string; business_name: string }>(
      system,
      'SELECT ban, business_name FROM public.tax_registration ORDER BY ban',
    );
    expect(new Map(rows.map(({ ban, business_name }) => [ban, business_name]))).toEqual(
      new Map([...last].sort()),
    );
    const held = view.partitions.reduce((sum, { high }) => sum + (high ?? NaN), 0);
    // Nothing twice, nothing left out: the jobs have read as many as the inbox holds, and their ranges follow each other.
    const jobs = await query<{
      state: string;
      source: { display: string };
      counts: { read: number };
    }>(system, 'SELECT state, source, counts FROM sluice.job WHERE stream = $1 ORDER BY created_at', [CSV]);
    expect(new Set(jobs.map(({ state }) => state))).toEqual(new Set(['succeeded']));
    expect(jobs.reduce((sum, { counts }) => sum + counts.read, 0)).toBe(held);
    if (!repeats) expect(held).toBe(sent);
    const ends = new Map<string, number>();
    for (const { source } of jobs)
      for (const [, partition = '', from, to] of source.display.matchAll(/(\d+)=(\d+)-(\d+)/g)) {
        expect([partition, Number(from)]).toEqual([partition, ends.get(partition) ?? 0]);
        ends.set(partition, Number(to));
      }
  }

  it('turn messages into rows, and each that is no record of the dataset into a dead letter with its place', async () => {
    const topic = `sluice.${JSON_SET}.inbox`;
    const good = Array.from({ length: 30 }, (_, at) => ({
      orderNo: `W-${at}`,
      placedAt: '2026-09-01T08:30:00Z',
      currency: 'EUR',
      total: at,
    }));
    const bad: readonly (readonly [value: string | null, headers: Record<string, string>])[] = [
      [null, {}],
      ['{"orderNo": "X-1"', {}],
      ['{"orderNo": "X-2", "currency": "EUR", "total": "x", "placedAt": "2026-09-01T08:30:00Z"}', {}],
      [JSON.stringify({ ...good[0], orderNo: 'X-3' }), { 'content-type': 'text/csv' }],
    ];
    await publisher.send([
      ...good.slice(0, 15).map((one) => ({
        ...{ topic, key: one.orderNo, headers: {} },
        value: Buffer.from(JSON.stringify(one)),
      })),
      ...bad.map(([value, headers]) => ({
        ...{ topic, key: 'bad', partition: 1, headers: { ...headers, from: 'a test' } },
        value: value === null ? null : Buffer.from(value),
      })),
      ...good.slice(15).map((one) => ({
        ...{ topic, key: one.orderNo, headers: {} },
        value: Buffer.from(JSON.stringify(one)),
      })),
    ]);
    const client = clientOf(system);
    expect(await client.startStream(JSON_SET, {})).toEqual({ dataset: JSON_SET, state: 'running' });
    await eventually(
      async () => (await query(system, 'SELECT FROM public.webshop_order')).length === good.length,
      'every good record in the table',
    );
    const view = await client.stream(JSON_SET);
    expect([view.state, view.records]).toEqual(['running', good.length + bad.length]);
    const jobs = await query<{ id: string }>(system, 'SELECT id FROM sluice.job WHERE stream = $1', [
      JSON_SET,
    ]);
    const letters = await eventually(async () => {
      const found = (await Promise.all(jobs.map(({ id }) => lettersOf(system, id)))).flat();
      return found.length === bad.length && found;
    }, 'a dead letter of each bad message');
    for (const { message } of letters)
      expect(message).toMatchObject({ topic, partition: 1, headers: expect.anything() });
    expect(letters.map(({ codes }) => codes[0]).sort()).toEqual(
      expect.arrayContaining(['BAD_AMOUNT', 'TOMBSTONE']),
    );
    await client.pauseStream(JSON_SET);
  });

  it('load what arrives while they run, and take what is left when they are drained', async () => {
    await clientOf(system).startStream(CSV, { maxMs: 100, maxRecords: 50 });
    for (let part = 0; part < 5; part++) await produce(60);
    await expectAll();
  });

  const POINTS: readonly FaultPoint[] = [
    ...STREAM_FAULT_POINTS,
    'ingestor.published',
    'ingestor.before-totals',
    'finalizer.in-merge',
  ];

  it.each(POINTS)('%s: killed there and started again', async (point) => {
    await clientOf(system).startStream(CSV, {});
    armFaultPoint(system, point, 'kill');
    await produce(150);
    const name = await faultPointHit(system, point);
    await eventually(() => !system.isRunning(name), `${name} to be gone`);
    await produce(50);
    await system.restart(name);
    await expectAll();
  });

  it.each(STREAM_FAULT_POINTS)(
    '%s: stopped there while another ingestor continues, and woken up',
    async (point) => {
      await clientOf(system).startStream(CSV, {});
      armFaultPoint(system, point, 'stall');
      await produce(100);
      const name = await faultPointHit(system, point);
      const rest = ['ingestor', 'ingestor-2'].find((one) => one !== name) ?? '';
      const owner = await query<{ owner: string }>(
        system,
        'SELECT owner FROM sluice.stream WHERE dataset = $1',
        [CSV],
      );
      await eventually(async () => {
        const [now] = await query<{ owner: string }>(
          system,
          'SELECT owner FROM sluice.stream WHERE dataset = $1 AND lease_until > now()',
          [CSV],
        );
        return now !== undefined && now.owner !== owner[0]?.owner;
      }, `${rest} to take the stream`);
      await produce(30);
      system.signal(name, 'SIGCONT');
      await expectAll();
    },
  );

  it('continue beside a job while validators and loaders come and leave: 1, 3, 1', async () => {
    const more = ['validator-2', 'validator-3', 'loader-2', 'loader-3'];
    const drain = async (name: string): Promise<void> => {
      const { length } = system.logsOf(name);
      await system.kill(name, 'SIGTERM');
      expect(system.logsOf(name).slice(length)).toContain('"msg":"drained"');
    };
    await Promise.all(more.map(drain));
    const rows = 3_000;
    const orders = generateOrders({ rows, seed: 5, defectShare: 0.05, repeatShare: 0 });
    const source = await startHaltingSource(
      Buffer.concat([...orders].map((each) => Buffer.from(each))),
      null,
    );
    const kafka = await KafkaView.open(system, []);
    try {
      const client = clientOf(system);
      const request = { dataset: JSON_SET, mode: 'replace', source: source.url, maxRefusedShare: 1 } as const;
      const { id } = await client.startJob(request);
      await client.startStream(CSV, { maxMs: 100, maxRecords: 50 });
      await produce(100);
      await eventually(async () => {
        const loaded = await query(system, 'SELECT FROM sluice.ledger WHERE job = $1', [id]);
        return loaded.length > 0;
      }, 'some of the job to be loaded');
      await Promise.all(more.map((name) => system.restart(name)));
      for (const group of ['sluice-validator', 'sluice-loader'])
        await eventually(async () => (await kafka.membersOf(group)) === 3, `three members of ${group}`);
      await produce(100);
      source.goOn();
      await produce(100);
      await Promise.all(more.map(drain));
      const end = await jobEnd(system, id);
      expect(end).toMatchObject({ state: 'succeeded', counts: { read: rows } });
      expect(await query(system, 'SELECT FROM public.webshop_order')).toHaveLength(end.counts?.loaded ?? NaN);
      await expectAll();
    } finally {
      await Promise.all([source.close(), kafka.close()]);
    }
  });

  it('wait while the broker is away, say so, and continue', async () => {
    await clientOf(system).startStream(CSV, {});
    await produce(50);
    await system.kill('kafka');
    await eventually(
      async () => (await clientOf(system).stream(CSV)).wait?.code === 'SERVER_AWAY',
      'the stream to say that it waits',
      120_000,
    );
    await system.restart('kafka');
    await produce(50);
    await expectAll(true);
  });
});
