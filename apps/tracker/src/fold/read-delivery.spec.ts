import { describe, expect, it } from '@jest/globals';
import type { IncomingMessage } from '#common/kafka/message.js';
import { decodeStatusEvent, encodeStatusEvent } from '#core/message/status-event.js';
import { readDelivery } from './read-delivery.js';

describe('readDelivery', () => {
  it('passes over what nobody can read, says where it stood, and keeps the rest', () => {
    const good = statusMessage('1');
    const poison: IncomingMessage = { ...statusMessage('2'), value: Buffer.from('{"type":') };
    const alsoGood = statusMessage('3');
    const read = readDelivery({ messages: [good, poison, alsoGood] }, decodeStatusEvent);
    expect(read.readable).toHaveLength(2);
    expect(read.poison).toEqual([
      { place: poison.place, problem: 'Message sluice.status/0/2: its value is not JSON.' },
    ]);
  });

  it('lets any other error through: it is the tracker’s own', () => {
    const broken = (): never => {
      throw new TypeError('a bug');
    };
    expect(() => readDelivery({ messages: [statusMessage('1')] }, broken)).toThrow(TypeError);
  });
});

function statusMessage(offset: string): IncomingMessage {
  const { headers, value } = encodeStatusEvent({
    type: 'job',
    dataset: 'shops',
    job: '01890000-0000-7000-8000-000000000001',
    state: 'running',
    step: null,
    at: '2026-01-01T00:00:00.000Z',
  });
  return { place: { topic: 'sluice.status', partition: 0, offset }, headers, value };
}
