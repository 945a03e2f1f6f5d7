import { describe, expect, it } from '@jest/globals';
import { loadSettings } from '#common/config/environment.js';
import { SourceConfig } from './source.config.js';

describe('SourceConfig', () => {
  it('has defaults that fit each other', () => {
    const config = loadSettings(SourceConfig, {});
    expect(config).toMatchObject({
      idleTimeoutMs: 60_000,
      retries: 3,
      retryFactorMs: 1000,
      privateAddresses: 'token',
    });
    expect(config.folders()).toEqual([]);
  });

  it('reads folders separated by colons', () => {
    expect(loadSettings(SourceConfig, { SLUICE_SOURCE_FOLDERS: '/data:/srv/in:' }).folders()).toEqual([
      '/data',
      '/srv/in',
    ]);
  });

  it.each([
    ['SLUICE_SOURCE_FOLDERS', 'data'],
    ['SLUICE_SOURCE_FOLDERS', '/data:/'],
    ['SLUICE_SOURCE_PRIVATE_ADDRESSES', 'maybe'],
    ['SLUICE_SOURCE_USER_AGENT', 'two\nlines'],
    ['SLUICE_SOURCE_IDLE_TIMEOUT_MS', '0'],
    ['SLUICE_SOURCE_RETRIES', '-1'],
    ['SLUICE_SOURCE_MAX_BYTES', '1000'],
  ])('refuses %s=%j and names the variable', (variable, value) => {
    expect(() => loadSettings(SourceConfig, { [variable]: value })).toThrow(
      expect.objectContaining({ code: 'SETTING_INVALID', message: expect.stringContaining(variable) }),
    );
  });
});
