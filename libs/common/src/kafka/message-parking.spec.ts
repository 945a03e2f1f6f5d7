import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { SluiceError } from '../errors/sluice-error.js';
import type { IncomingMessage } from './message.js';
import { MessageParking } from './message-parking.js';

const message = (offset: string): IncomingMessage => ({
  place: { topic: 'sluice.things.raw', partition: 0, offset },
  headers: {},
  value: null,
});

/** Reads the offset; the second message is poison. */
function decode({ place }: IncomingMessage): string {
  if (place.offset === '2') throw new SluiceError('MESSAGE_INVALID', 'its value is not JSON');
  return place.offset;
}

describe('MessageParking', () => {
  it('passes over what nobody can read, counts and logs it, and keeps the rest', async () => {
    const registry = new Registry();
    let log = '';
    const logger = pino({}, { write: (line: string) => (log += line) });
    const parking = new MessageParking(registry, logger);
    expect(parking.decodeAll(['1', '2', '3'].map(message), decode)).toEqual(['1', '3']);
    expect(await registry.metrics()).toContain('sluice_parked_messages_total{topic="sluice.things.raw"} 1');
    expect(JSON.parse(log)).toMatchObject({ level: 50, offset: '2', code: 'MESSAGE_INVALID' });
  });

  it('lets any other error through: it is our own', () => {
    const parking = new MessageParking(new Registry(), pino({ level: 'silent' }));
    const broken = (): never => {
      throw new TypeError('a bug');
    };
    expect(() => parking.decode(message('1'), broken)).toThrow(TypeError);
  });
});
