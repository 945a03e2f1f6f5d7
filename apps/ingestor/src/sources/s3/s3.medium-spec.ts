import { gzipSync } from 'node:zlib';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setAwsCredentials } from '#test/support/aws-credentials.js';
import { type ObjectStore, startObjectStore } from '#test/support/object-store.js';
import { openBytes } from '#test/support/open-bytes.js';
import { sourceSettings } from '#test/support/source-settings.js';
import type { ByteSource } from '../byte-source.js';

/** Objects of a store that others have written: signatures, ETags, versions, keys. */

const BUCKET = 'sluice-test';
const LINES = Array.from({ length: 30_000 }, (_, at) => `line ${at}\n`);
const CONTENT = Buffer.from(LINES.join(''));
const OTHER = Buffer.from(LINES.join('').toUpperCase());
const ODD_KEYS = ['a b+c%20d.csv', '東京/2026-01.csv', 'a?b=c&d#e.csv', "it's (a) key!.csv"];

describe('s3 sources of a real store', () => {
  let store: ObjectStore | null;
  let client: S3Client;
  let restore = (): void => undefined;

  beforeAll(async () => {
    store = await startObjectStore();
    if (store === null) return;
    restore = setAwsCredentials({ accessKeyId: 'test', secretAccessKey: 'test' });
    client = new S3Client({ endpoint: store.endpoint, region: 'us-east-1', forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  });

  afterAll(async () => {
    restore();
    if (store === null) return;
    client.destroy();
    await store.stop();
  });

  const put = async (key: string, body: Buffer, bucket = BUCKET): Promise<void> => {
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  };

  async function open(
    key: string,
    more: { bucket?: string; began?: object | null } = {},
  ): Promise<ByteSource> {
    const { bucket = BUCKET, began = null } = more;
    return openBytes(
      { uri: `s3://${bucket}/${key}`, own: { trustedCaller: true }, began: began as null },
      sourceSettings({ s3Endpoint: store?.endpoint ?? '', retryFactorMs: 1 }),
      new AbortController().signal,
    );
  }

  it('deliver each byte, of any key, and unpack what is packed', async () => {
    if (store === null) return;
    for (const key of ODD_KEYS) {
      await put(key, CONTENT);
      expect(await bytesOf(await open(key))).toEqual(CONTENT);
    }
    await put('packed.csv.gz', gzipSync(CONTENT));
    expect(await bytesOf(await open('packed.csv.gz'))).toEqual(CONTENT);
  });

  it('are identified by ETag and size, and read from any offset', async () => {
    if (store === null) return;
    await put('one.csv', CONTENT);
    const source = await open('one.csv');
    expect(source.identity).toMatchObject({ bytes: CONTENT.length, validator: source.identity.etag });
    await source.skipTo(100_000);
    expect(await bytesOf(source)).toEqual(CONTENT.subarray(100_000));
  });

  it('of a bucket with versions stay the version that the job began with', async () => {
    if (store === null) return;
    const bucket = 'sluice-versions';
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    await client.send(
      new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    );
    await put('one.csv', CONTENT, bucket);
    const first = await open('one.csv', { bucket });
    await first.close();
    const began = first.identity.own ?? null;
    await put('one.csv', OTHER, bucket);
    expect(await bytesOf(await open('one.csv', { bucket }))).toEqual(OTHER);
    const again = await open('one.csv', { bucket, began });
    expect(again.identity).toStrictEqual(first.identity);
    expect(await bytesOf(again)).toEqual(CONTENT);
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'one.csv' }));
    await expect(open('one.csv', { bucket })).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect(await bytesOf(await open('one.csv', { bucket, began }))).toEqual(CONTENT);
  });

  it('that are replaced while they are read fail as changed', async () => {
    if (store === null) return;
    await put('replaced.csv', CONTENT);
    const source = await open('replaced.csv');
    await put('replaced.csv', OTHER);
    await source.skipTo(10);
    await expect(bytesOf(source)).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
  });

  it.each([
    ['no-such.csv', BUCKET, 'SOURCE_NOT_FOUND', 'no such key'],
    ['one.csv', 'no-such-bucket', 'SOURCE_NOT_FOUND', 'no such bucket'],
    ['one.csv?versionId=nosuchversion', BUCKET, 'SOURCE_NOT_FOUND', 'version'],
    ['empty.csv', BUCKET, 'SOURCE_EMPTY', ''],
  ])('%s of %s is %s', async (key, bucket, code, reason) => {
    if (store === null) return;
    await put('one.csv', CONTENT);
    await put('empty.csv', Buffer.alloc(0));
    await expect(open(key, { bucket })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(reason),
    });
  });
});

async function bytesOf(source: ByteSource): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source.chunks) chunks.push(chunk);
  await source.close();
  return Buffer.concat(chunks);
}
