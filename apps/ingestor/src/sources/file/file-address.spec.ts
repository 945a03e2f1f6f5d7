import { describe, expect, it } from '@jest/globals';
import { parseFileAddress } from './file-address.js';

describe('parseFileAddress', () => {
  it.each([
    ['/data/file.csv', '/data/file.csv'],
    ['/data/a#1?.csv', '/data/a#1?.csv'],
    ['file:///data/a%231%3F.csv', '/data/a#1?.csv'],
    ['file:///data/a%20b.csv', '/data/a b.csv'],
    ['file:///data/a.csv?secret', '/data/a.csv'],
    ['file://localhost/data/file.csv', '/data/file.csv'],
    ['FILE:/data/file.csv', '/data/file.csv'],
  ])('understands %s', (text, path) => {
    expect(parseFileAddress(text)).toStrictEqual({ display: path, path });
  });

  it('shows a path with a line break in one line', () => {
    expect(parseFileAddress('/data/line\nbreak.csv').display).toBe('/data/line\u{FFFD}break.csv');
  });

  it.each(['file:data.csv', 'file:./data.csv', 'file://other-host/data.csv', 'file:///data%2Ffile.csv'])(
    'refuses %s',
    (text) => {
      expect(() => parseFileAddress(text)).toThrow(
        expect.objectContaining({
          code: 'SOURCE_UNSUPPORTED',
          message: expect.stringContaining('use file:///absolute/path.'),
        }),
      );
    },
  );

  it('refuses a NUL character', () => {
    expect(() => parseFileAddress('/data/\0file.csv')).toThrow(
      expect.objectContaining({ code: 'SOURCE_UNSUPPORTED' }),
    );
  });
});
