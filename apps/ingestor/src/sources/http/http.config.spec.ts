import { describe, expect, it } from '@jest/globals';
import { loadSettings } from '#common/config/environment.js';
import { HttpConfig } from './http.config.js';

describe('HttpConfig', () => {
  it('has defaults that fit each other', () => {
    expect(loadSettings(HttpConfig, {})).toMatchObject({
      idleTimeoutMs: 60_000,
      retries: 3,
      retryFactorMs: 1000,
      privateAddresses: 'token',
    });
  });

  it.each([
    ['SLUICE_SOURCE_PRIVATE_ADDRESSES', 'maybe'],
    ['SLUICE_SOURCE_USER_AGENT', 'two\nlines'],
    ['SLUICE_SOURCE_IDLE_TIMEOUT_MS', '0'],
    ['SLUICE_SOURCE_RETRIES', '-1'],
  ])('refuses %s=%j and names the variable', (variable, value) => {
    expect(() => loadSettings(HttpConfig, { [variable]: value })).toThrow(
      expect.objectContaining({ code: 'SETTING_INVALID', message: expect.stringContaining(variable) }),
    );
  });
});
