import { describe, expect, it } from '@jest/globals';
import { parseS3Address } from './s3-address.js';

describe('an s3 address', () => {
  it.each([
    ['s3://bucket/a.csv', { bucket: 'bucket', key: 'a.csv', versionId: null }],
    ['S3://bucket/2026/01/a b%20c.csv', { bucket: 'bucket', key: '2026/01/a b%20c.csv', versionId: null }],
    ['s3://bucket/a?b#c&d.csv', { bucket: 'bucket', key: 'a?b#c&d.csv', versionId: null }],
    ['s3://bucket//a', { bucket: 'bucket', key: '/a', versionId: null }],
    ['s3://bucket/東京.csv', { bucket: 'bucket', key: '東京.csv', versionId: null }],
    ['s3://bucket/a?versionId=3.L4_x-9', { bucket: 'bucket', key: 'a', versionId: '3.L4_x-9' }],
  ])('%s names one object', (text, named) => {
    const address = parseS3Address(text);
    expect(address).toMatchObject(named);
    expect(parseS3Address(address.display)).toStrictEqual(address);
  });

  it.each([
    ['s3://AKIAKEY:secret@bucket/a.csv', 'no user and password'],
    ['s3://My_Bucket/a.csv', 'no bucket'],
    ['s3:///a.csv', 'no bucket'],
    ['s3://bucket', 'no object'],
    ['s3://bucket/', 'no object'],
    ['s3://bucket/2026/', 'a folder'],
    [`s3://bucket/${'é'.repeat(513)}`, '1024 bytes'],
    ['s3://bucket/a\nb', 'control characters'],
    ['s3://bucket/a?versionId=', 'version id'],
    ['s3://bucket/a?versionId=x y', 'version id'],
  ])('%j is refused, and nothing of it is shown', (text, reason) => {
    const refused = expect.objectContaining({
      code: 'SOURCE_UNSUPPORTED',
      message: expect.stringContaining(reason),
    });
    expect(() => parseS3Address(text)).toThrow(refused);
    expect(() => parseS3Address(text)).not.toThrow(/secret|AKIAKEY|My_Bucket/);
  });
});
