import { describe, expect, it } from '@jest/globals';
import { type StatusEvent, decodeStatusEvent, encodeStatusEvent } from './status-event.js';

const BATCH: StatusEvent = {
  type: 'batch',
  dataset: 'tax-registration',
  job: '01890000-0000-7000-8000-000000000001',
  batch: 3,
  stage: 'validate',
  records: 10,
  bytes: 1_000,
  accepted: 8,
  refused: 1,
  skipped: 1,
  warnings: 2,
  findings: { BAD_CAPITAL: 2, MALFORMED_ROW: 1 },
  at: '2026-01-01T00:00:00.000Z',
};
const JOB: StatusEvent = {
  type: 'job',
  dataset: 'tax-registration',
  job: '01890000-0000-7000-8000-000000000001',
  state: 'finalizing',
  step: 'index',
  at: '2026-01-01T00:00:00.000Z',
};
const PARKED: StatusEvent = {
  type: 'parked',
  topic: 'sluice.tax-registration.raw',
  partition: 2,
  offset: '9007199254740993',
  reason: 'its value is not JSON.',
  at: '2026-01-01T00:00:00.000Z',
};

describe('status events', () => {
  it('arrive as they were sent', () => {
    const named = { ...BATCH, unknownMembers: { 'customer.phone': 3, '""': 1 } };
    for (const event of [BATCH, named, JOB, PARKED]) expect(decode(event)).toEqual(event);
  });

  it.each<[string, object]>([
    ['no type', { ...BATCH, type: undefined }],
    ['an unknown type', { ...BATCH, type: 'wish' }],
    ['a job that is no id', { ...BATCH, job: 'x' }],
    ['a dataset that is no name', { ...BATCH, dataset: 'Tax Registration' }],
    ['a time that is none', { ...BATCH, at: 'yesterday' }],
    ['a year that PostgreSQL reads differently', { ...BATCH, at: '+012026-01-01T00:00:00.000Z' }],
    ['the year 0, which PostgreSQL does not have', { ...BATCH, at: '0000-01-01T00:00:00.000Z' }],
    ['a year 1 that is the year 0 in UTC', { ...BATCH, at: '0001-01-01T00:00:00.000+14:00' }],
    ['a day that its month does not have', { ...PARKED, at: '2026-02-30T00:00:00.000Z' }],
    ['an hour 24', { ...PARKED, at: '2026-02-01T24:00:00.000Z' }],
    ['an epoch that is none', { ...BATCH, epoch: -1 }],
    [
      'more than a thousand finding codes',
      { ...BATCH, findings: Object.fromEntries(Array.from({ length: 1_001 }, (_, at) => [`C${at}`, 1])) },
    ],
    ['a stage that has no batches', { ...BATCH, stage: 'finalize' }],
    ['a count that is missing', { ...BATCH, refused: undefined }],
    ['a negative count', { ...BATCH, records: -1 }],
    ['a fraction', { ...BATCH, accepted: 0.5 }],
    ['a count in words', { ...BATCH, bytes: '12' }],
    ['a count that would overflow sums', { ...BATCH, records: 2 ** 31 }],
    ['findings that are a list', { ...BATCH, findings: [] }],
    ['a finding code with NUL', { ...BATCH, findings: { 'A\0': 1 } }],
    ['a member with a control character in its name', { ...BATCH, unknownMembers: { 'a\u001b': 1 } }],
    ['a member with a long name', { ...BATCH, unknownMembers: { ['a'.repeat(65)]: 1 } }],
    ['a member without a count', { ...BATCH, unknownMembers: { a: '1' } }],
    ['a finding without a count', { ...BATCH, findings: { A: null } }],
    ['an unknown state', { ...JOB, state: 'asleep' }],
    ['a step with a lone surrogate', { ...JOB, step: '\ud800' }],
    ['a parked message without a topic', { ...PARKED, topic: '' }],
    ['a parked message of a negative partition', { ...PARKED, partition: -1 }],
    ['a parked message of a partition that no integer column holds', { ...PARKED, partition: 2 ** 31 }],
    ['a parked message whose offset is a number', { ...PARKED, offset: 7 }],
    ['a parked message whose offset no bigint holds', { ...PARKED, offset: '9'.repeat(19) }],
    ['a parked message whose reason holds NUL', { ...PARKED, reason: 'a\0' }],
    ['a parked message without a time', { ...PARKED, at: undefined }],
  ])('are refused with %s', (_what, event) => {
    expect(() => decode(event)).toThrow(
      expect.objectContaining({
        code: 'MESSAGE_INVALID',
        message: 'Message sluice.status/0/7: its value is not a status event.',
      }),
    );
  });
});

function decode(event: object): StatusEvent {
  const { topic, headers, value } = encodeStatusEvent(event as StatusEvent);
  return decodeStatusEvent({ place: { topic, partition: 0, offset: '7' }, headers, value });
}
