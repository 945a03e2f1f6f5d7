import { describe, expect, it } from '@jest/globals';
import { isLoopbackHost, isSafeForSecrets } from './loopback.js';

describe('loopback', () => {
  it.each([
    'localhost',
    'LocalHost',
    '127.0.0.1',
    '127.9.8.7',
    '::1',
    '[::1]',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
  ])('is %s', (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  });

  it.each([
    '',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '127.1',
    '127.0.0.999',
    '127.0.0.1.example',
    'localhost.example',
    '::2',
  ])('is not "%s"', (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  });

  it('is where a secret may travel without TLS', () => {
    const may = [
      'https://provider.example/token',
      'http://127.0.0.1:1/token',
      'http://[::1]/',
      'http://localhost',
    ];
    const mayNot = [
      'http://provider.example/token',
      'http://localhost.example',
      'ftp://localhost',
      'provider',
      '',
    ];
    expect([...may, ...mayNot].filter(isSafeForSecrets)).toEqual(may);
  });
});
