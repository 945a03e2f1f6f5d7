import { describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import { FaultCounts, faultReason, isMessageFault } from './fetched-messages.js';

const database = (code: string): Error => Object.assign(new Error('refused "a secret"'), { code });
const faultOf = (code: string): SluiceError =>
  new SluiceError('DATABASE_FAULT', 'Loading failed.', {}, { cause: database(code) });

describe('whose fault an error is', () => {
  it.each([
    ['a message that cannot be read', new SluiceError('MESSAGE_INVALID', 'no')],
    ['a message that makes too large a one', new SluiceError('MESSAGE_TOO_LARGE', 'no')],
    ['another contract', new SluiceError('CONTRACT_MISMATCH', 'no')],
    ['a bug', new TypeError('x is not a function')],
    ['a value that no column takes', database('22P05')],
    ['a year that no calendar has', database('22008')],
    ['a value that no column takes, reported by a loader', faultOf('22021')],
    ['a value above a limit of the server', faultOf('54000')],
  ])('may be a message’s: %s', (_what, error) => {
    expect(isMessageFault(error)).toBe(true);
  });

  it.each([
    ['brokers that are away', new SluiceError('BROKER_UNAVAILABLE', 'no')],
    ['brokers that refuse', new SluiceError('BROKER_FAULT', 'no')],
    ['a missing topic', new SluiceError('TOPIC_MISSING', 'no')],
    [
      'a topic set too narrow',
      new SluiceError('MESSAGE_TOO_LARGE', 'no', {}, { cause: new Error('refused') }),
    ],
    ['partitions that are gone', new SluiceError('PARTITION_MISSING', 'no')],
    ['a database that is away', new SluiceError('DATABASE_UNAVAILABLE', 'no')],
    ['a paused job', new SluiceError('JOB_PAUSED', 'no')],
    ['permissions', faultOf('42501')],
    ['a missing table', database('42P01')],
    ['a full disk', faultOf('53100')],
    ['a shutdown', database('57P01')],
    ['an unknown SQLSTATE', faultOf('XX000')],
    ['a connection', Object.assign(new Error('read'), { code: 'ECONNRESET' })],
    ['kafkajs’s own connection', new kafkajs.KafkaJSConnectionError('gone', {})],
    ['kafkajs’s unknown errors', new kafkajs.KafkaJSNonRetriableError('odd')],
  ])('is none that parking could help: %s (G10)', (_what, error) => {
    expect(isMessageFault(error)).toBe(false);
  });

  it('is reported without anything that a message holds', () => {
    const parsing = ((): unknown => {
      try {
        return JSON.parse('{"secret": nope');
      } catch (error) {
        return error;
      }
    })();
    expect(faultReason(parsing)).toBe('INTERNAL: SyntaxError in the code that handles it');
    expect(faultReason(database('22P05'))).toBe('DATABASE_FAULT: PostgreSQL refused it (SQLSTATE 22P05)');
    expect(faultReason(new SluiceError('CONTRACT_MISMATCH', 'Version 9.'))).toBe(
      'CONTRACT_MISMATCH: Version 9.',
    );
  });
});

describe('FaultCounts', () => {
  const fault = new TypeError('x');

  it('counts the faults of one delivery, and no waits', () => {
    const counts = new FaultCounts();
    const isExhausted = (offset = '7'): boolean => counts.isExhausted('t/0', offset);
    counts.failed('t/0', '7', fault);
    counts.failed('t/0', '7', fault);
    for (let wait = 0; wait < 9; wait++)
      counts.failed('t/0', '7', new SluiceError('BROKER_UNAVAILABLE', 'away'));
    expect(isExhausted()).toBe(false);
    counts.failed('t/0', '7', fault);
    expect([isExhausted(), isExhausted('8'), counts.isExhausted('t/1', '7')]).toEqual([true, false, false]);
    counts.forget('t/0');
    expect(isExhausted()).toBe(false);
  });

  it('begins again with another delivery of the partition', () => {
    const counts = new FaultCounts();
    for (const offset of ['7', '7', '9', '9']) counts.failed('t/0', offset, fault);
    expect(counts.isExhausted('t/0', '9')).toBe(false);
  });
});
