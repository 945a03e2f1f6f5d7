import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SELF_SIGNED } from '#test/support/self-signed.js';
import { ConnectionConfig } from './connection.config.js';
import { childEnvironment, loadSettings, unset } from './environment.js';
import { KafkaSecurityConfig } from './kafka-security.config.js';

const LOGIN = { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256', KAFKA_USERNAME: 'a', KAFKA_PASSWORD: 'secret word' };
const TOKENS = {
  KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
  KAFKA_OAUTH_TOKEN_ENDPOINT: 'https://provider.example/token',
  KAFKA_OAUTH_CLIENT_ID: 'sluice-loader',
  KAFKA_OAUTH_CLIENT_SECRET: 'secret word',
};

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
      'KAFKA_SASL_MECHANISM must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER',
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

  it('takes the newer content of a file, and keeps the last while the file is away', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-login-'));
    const file = join(folder, 'password');
    writeFileSync(file, 'first');
    const given = { ...LOGIN, KAFKA_PASSWORD: undefined, KAFKA_PASSWORD_FILE: file };
    const { sasl } = loadSettings(ConnectionConfig, given).kafkaSecurity();
    expect(sasl).toMatchObject({ password: 'first' });
    writeFileSync(file, 'second\n');
    expect(sasl).toMatchObject({ password: 'second' });
    rmSync(folder, { recursive: true });
    expect(sasl).toMatchObject({ password: 'second' });
  });
});

describe('the login at the brokers by tokens', () => {
  it('is what the variables say, the secret as it is now', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-login-'));
    const file = join(folder, 'secret');
    writeFileSync(file, 'first');
    const { sasl } = loadSettings(ConnectionConfig, {
      ...{ ...TOKENS, KAFKA_OAUTH_CLIENT_SECRET: undefined, KAFKA_OAUTH_CLIENT_SECRET_FILE: file },
      ...{ KAFKA_OAUTH_SCOPE: 'kafka', KAFKA_OAUTH_AUDIENCE: 'brokers' },
    }).kafkaSecurity();
    expect(sasl).toEqual({
      ...{ mechanism: 'oauthbearer', tokenEndpoint: 'https://provider.example/token' },
      ...{ clientId: 'sluice-loader', clientSecret: 'first', scope: 'kafka', audience: 'brokers' },
    });
    writeFileSync(file, 'second');
    expect(sasl).toMatchObject({ clientSecret: 'second' });
    rmSync(folder, { recursive: true });
  });

  it.each([
    ['KAFKA_SASL_MECHANISM is set without KAFKA_OAUTH_TOKEN_ENDPOINT', { KAFKA_OAUTH_TOKEN_ENDPOINT: '' }],
    ['KAFKA_SASL_MECHANISM is set without KAFKA_OAUTH_CLIENT_ID', { KAFKA_OAUTH_CLIENT_ID: '' }],
    ['KAFKA_SASL_MECHANISM is set without KAFKA_OAUTH_CLIENT_SECRET', { KAFKA_OAUTH_CLIENT_SECRET: '' }],
    ['KAFKA_PASSWORD is set and KAFKA_SASL_MECHANISM is OAUTHBEARER', { KAFKA_PASSWORD: 'secret' }],
    [
      'KAFKA_OAUTH_SCOPE is set without KAFKA_SASL_MECHANISM',
      { KAFKA_SASL_MECHANISM: '', KAFKA_OAUTH_SCOPE: 'a' },
    ],
    ['KAFKA_OAUTH_CLIENT_ID is set and KAFKA_SASL_MECHANISM is PLAIN', { KAFKA_SASL_MECHANISM: 'PLAIN' }],
    ['must be an https address', { KAFKA_OAUTH_TOKEN_ENDPOINT: 'http://provider.example/token' }],
    ['must be an https address', { KAFKA_OAUTH_TOKEN_ENDPOINT: 'https://user:secret@provider.example' }],
  ])('is refused when it is half given or cannot be right: %s', (text, change) => {
    const load = (): unknown => loadSettings(ConnectionConfig, { ...TOKENS, ...change });
    expect(load).toThrow(text);
    expect(load).not.toThrow('secret');
  });
});

describe('TLS to the brokers', () => {
  const { cert, key } = SELF_SIGNED;
  const TLS = { KAFKA_TLS: 'on', KAFKA_TLS_CA: cert, KAFKA_TLS_CERTIFICATE: cert, KAFKA_TLS_KEY: key };

  it('is what the variables say, and without an authority trusts those of Node.js', () => {
    expect(loadSettings(ConnectionConfig, TLS).kafkaSecurity().tls?.()).toEqual({ ca: cert, cert, key });
    expect(loadSettings(ConnectionConfig, { KAFKA_TLS: 'on' }).kafkaSecurity().tls?.()).toEqual({});
  });

  it.each([
    ['KAFKA_TLS_CA is set without KAFKA_TLS', { KAFKA_TLS: undefined }],
    ['KAFKA_TLS_CERTIFICATE is set without KAFKA_TLS_KEY', { KAFKA_TLS_KEY: undefined }],
    ['KAFKA_TLS_KEY is set without KAFKA_TLS_CERTIFICATE', { KAFKA_TLS_CERTIFICATE: undefined }],
    ['KAFKA_TLS_CA is no PEM certificate', { KAFKA_TLS_CA: 'secret' }],
    ['KAFKA_TLS_KEY is no PEM key', { KAFKA_TLS_KEY: 'secret' }],
    ['KAFKA_TLS_KEY is not the key of KAFKA_TLS_CERTIFICATE', { KAFKA_TLS_KEY: otherKey() }],
  ])('is refused when it is half given or cannot be right: %s', (text, change) => {
    const load = (): unknown => loadSettings(ConnectionConfig, { ...TLS, ...change });
    expect(load).toThrow(text);
    expect(load).not.toThrow('secret');
  });

  it('is needed for PLAIN and OAUTHBEARER, unless the brokers are on this machine or a setting allows it', () => {
    const problemOf = (changes: Record<string, string>): unknown => {
      const given = { ...LOGIN, KAFKA_SASL_MECHANISM: 'PLAIN', ...changes };
      try {
        loadSettings(ConnectionConfig, given);
        return null;
      } catch (error) {
        return (error as Error).message;
      }
    };
    const elsewhere = { KAFKA_BROKERS: '127.0.0.1:9092,kafka.example:9092' };
    expect(problemOf(elsewhere)).toContain('would send KAFKA_PASSWORD unencrypted');
    expect(problemOf({ KAFKA_BROKERS: '127.0.0.1:9092,localhost:9093,[::1]:9094' })).toBeNull();
    expect(problemOf({ ...elsewhere, KAFKA_TLS: 'on' })).toBeNull();
    expect(problemOf({ ...elsewhere, KAFKA_PLAIN_WITHOUT_TLS: 'allow' })).toBeNull();
    expect(problemOf({ ...elsewhere, KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512' })).toBeNull();
    const byToken = { ...elsewhere, ...TOKENS, KAFKA_USERNAME: '', KAFKA_PASSWORD: '' };
    expect(problemOf(byToken)).toContain('OAUTHBEARER would send tokens unencrypted');
    expect(problemOf({ ...byToken, KAFKA_TLS: 'on' })).toBeNull();
  });
});

function otherKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
