import { describe, expect, it } from '@jest/globals';
import { type DeadLetter, decodeDeadLetter, encodeDeadLetter } from './dead-letter-message.js';

describe('dead letters', () => {
  it('arrive as they were sent, whatever bytes they hold', () => {
    expect(decode({})).toEqual(LETTER);
    expect(decode({}, { sqlstate: '22001' })).toEqual({ ...LETTER, sqlstate: '22001' });
  });

  it.each<[string, Record<string, string>]>([
    ['job', { job: 'x' }],
    ['dataset', { dataset: 'Tax Registration' }],
    ['stage', { stage: 'finalize' }],
    ['findings', { findings: '{}' }],
    ['findings', { findings: '[{"code":"A"}]' }],
    ['columns', { columns: '[1]' }],
    ['sqlstate', { sqlstate: '2200\0' }],
    ['record', { record: '-1' }],
  ])('are refused with a wrong %s', (_header, headers) => {
    expect(() => decode(headers)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
  });
});

/** @param headers as somebody else might have written them */
function decode(headers: Record<string, string>, facts: Partial<DeadLetter> = {}): DeadLetter {
  const message = encodeDeadLetter({ ...LETTER, ...facts });
  const place = { topic: message.topic, partition: 1, offset: '7' };
  return decodeDeadLetter({ place, headers: { ...message.headers, ...headers }, value: message.value });
}

const LETTER: DeadLetter = {
  dataset: 'tax-registration',
  job: '01890000-0000-7000-8000-000000000001',
  batch: 3,
  record: 42,
  line: 45,
  byteStart: 4_000,
  byteEnd: 4_010,
  stage: 'validate',
  findings: [{ code: 'BAD', field: '統一編號', message: 'is wrong', severity: 'error' }],
  sqlstate: null,
  attempt: 0,
  columns: ['統一編號', '營業人名稱'],
  bytes: Buffer.from([0x00, 0xff, 0x0a]),
};
