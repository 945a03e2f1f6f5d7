import { describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import { backoffOf } from './backoff.js';

const ATTEMPTS = [1, 2, 3, 4, 5, 6, 7, 8, 100];
const GROWING_TO_30_S = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];

const refused = new kafkajs.KafkaJSProtocolError(
  Object.assign(new Error('x'), { type: 'SASL_AUTHENTICATION_FAILED', code: 58, retriable: false }),
);
const wrongCertificate = new kafkajs.KafkaJSConnectionError('Connection error: x', {
  code: 'CERT_HAS_EXPIRED',
});
const away = new kafkajs.KafkaJSConnectionError('Connection timeout', {});

const waits = (error: unknown, random: number): number[] =>
  ATTEMPTS.map((attempt) => backoffOf(attempt, error, () => random));

describe('the wait before the next try', () => {
  it('grows to 5 s while brokers are away', () => {
    expect(waits(away, 0.9)).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000, 5_000, 5_000]);
  });

  it.each([
    ['a refused login', refused],
    ['one beneath an error of ours', new SluiceError('BROKER_FAULT', 'x', {}, { cause: refused })],
    ['a certificate that does not count', wrongCertificate],
  ])('grows to 30 s after %s', (_, error) => {
    expect(waits(error, 0)).toEqual(GROWING_TO_30_S);
  });

  it('is shorter by up to a fifth, at random, after a refused login', () => {
    expect(waits(refused, 1)).toEqual(GROWING_TO_30_S.map((ms) => 0.8 * ms));
  });
});
