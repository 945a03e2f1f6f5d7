import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { ServingHarness, textsOf } from '../../../../test/support/batch-serving.js';
import { damageLog, storedBatches } from '../../../../test/support/damaged-log.js';
import { type OwnKafka, startKafkaBroker } from '../../../../test/support/kafka.js';

function int32(n: number): Buffer { const b = Buffer.alloc(4); b.writeInt32BE(n); return b; }
describe('explore', () => {
  let harness: ServingHarness; let broker: OwnKafka;
  beforeAll(async () => { broker = await startKafkaBroker(); harness = await ServingHarness.start(Promise.resolve(broker)); });
  afterAll(() => harness.stop());
  it.each<[string, number, Buffer]>([
    ['flip', 70, Buffer.from([0x55])],
    ['negative', 8, int32(-5)],
    ['long', 8, int32(100000)],
    ['longwithin', 8, int32(100)],
    ['short', 8, int32(60)],
    ['vshort', 8, int32(20)],
    ['delta', 23, int32(2**30)],
    ['base', 0, Buffer.from([0,0,1])],
  ])('%s', async (name, off, bytes) => {
    await harness.begin();
    for (const text of ['aaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'ccccccccccccccccccccccccccccc', 'ddddddddddddddddd']) await harness.send(0, text, `${text}2`);
    const batches = storedBatches(broker.dataFolder, harness.topic, 0);
    damageLog(broker.dataFolder, { topic: harness.topic, partition: 0, at: batches[1]!.at + off }, bytes);
    const out: string[] = [];
    harness.onDelivery = (d) => { out.push(...textsOf(d)); return Promise.resolve(); };
    let fetches = 0; const lines: string[] = [];
    const fatal: unknown[] = [];
    const server = await harness.startServer(100, { onFatal: (e) => fatal.push(e), logger: pino({}, { write: (l: string) => void lines.push(l) }) });
    const c = server.unwrap<import('kafkajs').Consumer>(); c.on(c.events.FETCH, () => { fetches++; });
    await delay(7000);
    process.stdout.write(JSON.stringify({ name, batches: batches.map((b) => ({ ...b, firstOffset: String(b.firstOffset) })), out, parked: harness.parked, fetches, committed: [...await harness.committedOffsets()], health: server.health.notReady(), fatal: fatal.map(String), lines: lines.slice(0, 6) }, null, 1) + '\n');
    await harness.closeServers();
  });
});
