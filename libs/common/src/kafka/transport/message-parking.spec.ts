import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { SluiceError } from '../../errors/sluice-error.js';
import type { IncomingMessage } from '../message.js';
import { MessageParking, type ParkedMessage, type ReportParked } from './message-parking.js';

const message = (offset: string): IncomingMessage => ({
  place: { topic: 'sluice.things.raw', partition: 0, offset },
  headers: {},
  value: null,
});

/** Reads the offset; the second message is poison. */
function decode({ place }: IncomingMessage): string {
  if (place.offset === '2') {
    throw new SluiceError('MESSAGE_INVALID', 'Message sluice.things.raw/0/2: its value is not JSON.');
  }
  return place.offset;
}

/** A parking lot that remembers what it reported, logged and counted. */
function parkingWith(tell?: ReportParked) {
  const registry = new Registry();
  const told: ParkedMessage[] = [];
  const logged: Record<string, unknown>[] = [];
  const write = (line: string): unknown => logged.push(JSON.parse(line) as Record<string, unknown>);
  const remember: ReportParked = (parked) => {
    told.push(...parked);
    return Promise.resolve();
  };
  return {
    parking: new MessageParking(registry, pino({}, { write }), tell ?? remember),
    told,
    logged,
    counted: async () =>
      (await registry.getSingleMetric('sluice_parked_messages_total')?.get())?.values ?? [],
  };
}

describe('MessageParking', () => {
  it('skips an unreadable message, reports, counts and logs it, and keeps the rest', async () => {
    const { parking, told, logged, counted } = parkingWith();
    expect(await parking.decodeAll(['1', '2', '3'].map(message), decode)).toEqual(['1', '3']);
    const reason = 'its value is not JSON.';
    const place = { topic: 'sluice.things.raw', partition: 0, offset: '2' };
    expect(told).toEqual([{ ...place, reason, at: expect.any(String) }]);
    expect(logged).toEqual([expect.objectContaining({ ...place, level: 50, code: 'MESSAGE_INVALID' })]);
    expect(await counted()).toEqual([{ labels: { topic: place.topic }, value: 1 }]);
    expect(await parking.decode(message('2'), decode)).toBeNull();
    expect(await parking.decode(message('3'), decode)).toBe('3');
  });

  it('PK2: reports, counts and logs a message once, though its delivery comes again and again', async () => {
    const { parking, told, logged, counted } = parkingWith();
    for (let attempt = 0; attempt < 5; attempt++)
      expect(await parking.decodeAll(['1', '2'].map(message), decode)).toEqual(['1']);
    expect([told.length, logged.length]).toEqual([1, 1]);
    expect(await counted()).toMatchObject([{ value: 1 }]);
    // The same offset later is another message: the topic was created again.
    parking.committed({ topic: 'sluice.things.raw', partition: 1, offset: '2' });
    parking.committed({ topic: 'sluice.things.raw', partition: 0, offset: '1' });
    await parking.decode(message('2'), decode);
    expect(told).toHaveLength(1);
    parking.committed({ topic: 'sluice.things.raw', partition: 0, offset: '10' });
    await parking.decode(message('2'), decode);
    expect(told).toHaveLength(2);
    parking.sharedOut();
    await parking.decode(message('2'), decode);
    expect(told).toHaveLength(3);
  });

  it('PK1: ends only when the parked message has been reported, or with the error of a report that failed', async () => {
    let keep = (): void => undefined;
    const promise = new Promise<void>((resolve) => (keep = resolve));
    let ended = false;
    const decoding = parkingWith(() => promise).parking.decode(message('2'), decode);
    void decoding.then(() => (ended = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(false);
    keep();
    expect(await decoding).toBeNull();

    const away = new SluiceError('BROKER_UNAVAILABLE', 'away');
    await expect(parkingWith(() => Promise.reject(away)).parking.decode(message('2'), decode)).rejects.toBe(
      away,
    );
  });

  it('PK2: counts and logs nothing that could not be reported', async () => {
    const { parking, logged, counted } = parkingWith(() => Promise.reject(new TypeError('x')));
    await expect(parking.decode(message('2'), decode)).rejects.toThrow(TypeError);
    expect(logged).toEqual([]);
    expect(await counted()).toEqual([]);
  });

  it('PK3: lets any other error through: it is our own', async () => {
    const { parking, told } = parkingWith();
    const broken = (): never => {
      throw new TypeError('a bug');
    };
    await expect(parking.decode(message('1'), broken)).rejects.toThrow(TypeError);
    expect(told).toEqual([]);
  });

  it('keeps a foreign header in the reason short and harmless', async () => {
    const { parking, told } = parkingWith();
    const foreign = (): never => {
      throw new SluiceError('MESSAGE_INVALID', `it is of "a\0\u001b[2J${'𠮷'.repeat(1000)}"`);
    };
    await parking.decode(message('1'), foreign);
    expect(told[0]?.reason).toMatch(/^it is of "a\ufffd\ufffd\[2J(𠮷)+\ufffd?$/u);
    expect(told[0]?.reason).toHaveLength(200);
  });
});
