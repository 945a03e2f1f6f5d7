import { describe, expect, it } from '@jest/globals';
import { isFileUrl, isUrl, pathOfFileUrl } from './file-url.js';

describe('a file URL', () => {
  it.each([
    ['file:///data/a%20b.csv', { path: '/data/a b.csv' }],
    ['FILE:/data/a.csv', { path: '/data/a.csv' }],
    ['file://localhost/a.csv', { path: '/a.csv' }],
    ['file:a.csv', { fault: 'relative' }],
    ['file://host/a.csv', { fault: 'elsewhere' }],
    ['file:///a%2Fb.csv', { fault: 'elsewhere' }],
    ['file://[', { fault: 'elsewhere' }],
  ])('%s names %j', (url, found) => {
    expect(isFileUrl(url)).toBe(true);
    expect(pathOfFileUrl(url)).toStrictEqual(found);
  });

  it.each(['/data/file:', 'files://host', 'a.csv', ''])('is not %j', (text) => {
    expect(isFileUrl(text)).toBe(false);
  });
});

describe('a URL', () => {
  it.each(['http://host', 'S3://bucket/key', 'generate://a?b=c'])('is %s', (text) => {
    expect(isUrl(text)).toBe(true);
  });

  it.each(['/a://b', 'C:\\a', 'a.csv', 'user:word@host', ''])('is not %j', (text) => {
    expect(isUrl(text)).toBe(false);
  });
});
