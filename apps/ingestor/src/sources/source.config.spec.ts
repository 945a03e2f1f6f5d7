import { describe, expect, it } from '@jest/globals';
import { loadSettings } from '#common/config/environment.js';
import { SourceConfig } from './source.config.js';

describe('SourceConfig', () => {
  it('has defaults that fit each other', () => {
    expect(loadSettings(SourceConfig, {})).toMatchObject({ maxRatio: 200 });
  });

  it('refuses a size below the one from which ratios count, and names the variable', () => {
    expect(() => loadSettings(SourceConfig, { SLUICE_SOURCE_MAX_BYTES: '1000' })).toThrow(
      expect.objectContaining({
        code: 'SETTING_INVALID',
        message: expect.stringContaining('SLUICE_SOURCE_MAX_BYTES'),
      }),
    );
  });
});
