import { describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { KAFKA_ERRORS, brokerErrorCode, brokerErrorText, classifyBrokerError } from './kafka-errors.js';

const { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError } = kafkajs;

const protocolError = (type: string): Error =>
  new KafkaJSProtocolError(Object.assign(new Error(type), { type, code: 0, retriable: true }));
const givenUpAfter = (cause: Error): Error =>
  new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 5, retryTime: 100 });

describe('the table of Kafka errors', () => {
  it('names the brokers’ own errors as the protocol does, and kafkajs’s as it does', () => {
    const known = [...KAFKA_ERRORS.keys()];
    expect(known.filter((name) => !/^([A-Z]+_)*[A-Z]+$|^KafkaJS[A-Z]\w+$/.test(name))).toEqual([]);
    const classes = known.filter((name) => name.startsWith('KafkaJS'));
    expect(classes.filter((name) => !(name in kafkajs))).toEqual([]);
  });

  it.each([...KAFKA_ERRORS].filter(([name]) => !name.startsWith('KafkaJS')))('finds %s', (type, { kind }) => {
    expect(classifyBrokerError(protocolError(type))).toBe(kind);
    expect(classifyBrokerError(givenUpAfter(protocolError(type)))).toBe(kind);
  });

  it('looks through the errors that kafkajs wraps around others', () => {
    const lost = new KafkaJSConnectionError('Connection timeout', {});
    expect(classifyBrokerError(givenUpAfter(lost))).toBe('wait');
    expect(classifyBrokerError(givenUpAfter(givenUpAfter(lost)))).toBe('wait');
  });

  it('treats an unknown error as one that an operator has to examine', () => {
    for (const error of [protocolError('SOMETHING_NEW'), new TypeError('x'), 'text', undefined]) {
      expect(classifyBrokerError(error)).toBe('unknown');
      expect(brokerErrorCode(error)).toBe('BROKER_FAULT');
    }
  });

  it('says of a refusal what is missing, and of a login which settings are wrong', () => {
    const asked = { operation: 'READ', topic: 'a.topic', group: 'a-group' } as const;
    const textOf = (type: string): string => brokerErrorText(givenUpAfter(protocolError(type)), asked);
    expect(textOf('TOPIC_AUTHORIZATION_FAILED')).toContain('do not allow READ on topic a.topic to');
    expect(textOf('GROUP_AUTHORIZATION_FAILED')).toContain('do not allow READ on group a-group to');
    expect(textOf('SASL_AUTHENTICATION_FAILED')).toContain('KAFKA_USERNAME with KAFKA_PASSWORD');
    expect(textOf('UNSUPPORTED_SASL_MECHANISM')).toContain('KAFKA_SASL_MECHANISM');
  });

  it.each([
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'from no authority in KAFKA_TLS_CA'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'from no authority in KAFKA_TLS_CA'],
    ['CERT_HAS_EXPIRED', 'has expired'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'other host names'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'does not accept KAFKA_TLS_CERTIFICATE'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'does not speak TLS'],
  ])('says of %s which setting to look at, as a fault of the setup', (code, text) => {
    const error = givenUpAfter(new KafkaJSConnectionError('Connection error: x', { code }));
    expect(brokerErrorText(error)).toContain(text);
    expect(classifyBrokerError(error)).toBe('setup');
    expect(brokerErrorCode(error)).toBe('BROKER_FAULT');
  });

  it('says of a handshake that was cut what it can mean, and waits', () => {
    // What a listener without TLS gave.
    const words = 'Client network socket disconnected before secure TLS connection was established';
    const error = givenUpAfter(
      new KafkaJSConnectionError(`Connection error: ${words}`, { code: 'ECONNRESET' }),
    );
    expect(brokerErrorText(error)).toContain('name one with TLS in KAFKA_BROKERS');
    expect(classifyBrokerError(error)).toBe('wait');
  });

  it('reports a code for each', () => {
    expect(brokerErrorCode(protocolError('NOT_ENOUGH_REPLICAS'))).toBe('BROKER_UNAVAILABLE');
    expect(brokerErrorCode(protocolError('MESSAGE_TOO_LARGE'))).toBe('MESSAGE_TOO_LARGE');
    expect(brokerErrorCode(protocolError('UNKNOWN_TOPIC_OR_PARTITION'))).toBe('TOPIC_MISSING');
    expect(brokerErrorCode(protocolError('TOPIC_AUTHORIZATION_FAILED'))).toBe('BROKER_FAULT');
  });
});
