import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ConnectionConfig } from './connection.config.js';
import { childEnvironment, loadSettings, unset } from './environment.js';
import { KafkaSecurityConfig } from './kafka-security.config.js';

const LOGIN = { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256', KAFKA_USERNAME: 'a', KAFKA_PASSWORD: 'secret word' };

describe('the login at the brokers', () => {
  it('is none unless it is set', () => {
    expect(loadSettings(ConnectionConfig, {}).kafkaSecurity()).toEqual({});
  });

  it('is what the variables say, the password also by a file', () => {
    const sasl = { mechanism: 'scram-sha-256', username: 'a', password: 'secret word' };
    expect(loadSettings(ConnectionConfig, LOGIN).kafkaSecurity()).toEqual({ sasl });
    const folder = mkdtempSync(join(tmpdir(), 'sluice-login-'));
    const file = join(folder, 'password');
    writeFileSync(file, 'from a file\n');
    const { sasl: fromFile } = loadSettings(ConnectionConfig, {
      ...{ ...LOGIN, KAFKA_PASSWORD: undefined, KAFKA_PASSWORD_FILE: file },
    }).kafkaSecurity();
    expect(fromFile).toEqual({ ...sasl, password: 'from a file' });
    rmSync(folder, { recursive: true });
  });

  it.each([
    ['KAFKA_SASL_MECHANISM is set without KAFKA_USERNAME', { KAFKA_USERNAME: undefined }],
    ['KAFKA_SASL_MECHANISM is set without KAFKA_PASSWORD', { KAFKA_PASSWORD: undefined }],
    ['KAFKA_PASSWORD is set without KAFKA_SASL_MECHANISM', { KAFKA_SASL_MECHANISM: undefined }],
    [
      'KAFKA_SASL_MECHANISM must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512',
      { KAFKA_SASL_MECHANISM: 'GSSAPI' },
    ],
    ['KAFKA_PASSWORD must hold no control characters', { KAFKA_PASSWORD: 'secret\0word' }],
  ])('is refused when it is half given or cannot be right: %s', (text, change) => {
    const load = (): unknown => loadSettings(ConnectionConfig, { ...LOGIN, ...change });
    expect(load).toThrow(text);
    expect(load).not.toThrow('secret');
  });

  it('can be taken away from a process whose brokers know none', () => {
    const given = { ...LOGIN, KAFKA_PASSWORD_FILE: '/some/file' };
    const left = childEnvironment({ ...given, ...unset(KafkaSecurityConfig) });
    expect(Object.keys(given).filter((name) => left[name] !== undefined)).toEqual([]);
  });
});
