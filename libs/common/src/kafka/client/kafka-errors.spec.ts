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

  it('reports a code for each', () => {
    expect(brokerErrorCode(protocolError('NOT_ENOUGH_REPLICAS'))).toBe('BROKER_UNAVAILABLE');
    expect(brokerErrorCode(protocolError('MESSAGE_TOO_LARGE'))).toBe('MESSAGE_TOO_LARGE');
    expect(brokerErrorCode(protocolError('UNKNOWN_TOPIC_OR_PARTITION'))).toBe('TOPIC_MISSING');
    expect(brokerErrorCode(protocolError('TOPIC_AUTHORIZATION_FAILED'))).toBe('BROKER_FAULT');
  });
});
