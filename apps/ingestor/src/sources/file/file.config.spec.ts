import { describe, expect, it } from '@jest/globals';
import { loadSettings } from '#common/config/environment.js';
import { FileConfig } from './file.config.js';

describe('FileConfig', () => {
  it('opens no folder by default', () => {
    expect(loadSettings(FileConfig, {}).folders()).toEqual([]);
  });

  it('reads folders separated by colons', () => {
    expect(loadSettings(FileConfig, { SLUICE_SOURCE_FOLDERS: '/data:/srv/in:' }).folders()).toEqual([
      '/data',
      '/srv/in',
    ]);
  });

  it.each([
    ['SLUICE_SOURCE_FOLDERS', 'data'],
    ['SLUICE_SOURCE_FOLDERS', '/data:/'],
  ])('refuses %s=%j and names the variable', (variable, value) => {
    expect(() => loadSettings(FileConfig, { [variable]: value })).toThrow(
      expect.objectContaining({ code: 'SETTING_INVALID', message: expect.stringContaining(variable) }),
    );
  });
});
