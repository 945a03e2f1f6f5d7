import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ServedFile, serveFile } from './serve-file.js';

describe('the demo’s file over HTTP', () => {
  let folder: string;
  let served: ServedFile;
  let etag: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-serve-'));
    writeFileSync(join(folder, 'source'), '0123456789');
    served = await serveFile(join(folder, 'source'), '/demo/customers');
    etag = (await fetch(served.url, { method: 'HEAD' })).headers.get('etag') ?? '';
  });

  afterAll(async () => {
    await served.close();
    rmSync(folder, { recursive: true });
  });

  it('is served whole, with its length and a strong ETag, on this machine only', async () => {
    const response = await fetch(served.url);
    expect(served.url).toMatch(/^http:\/\/127\.0\.0\.1:/);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe('10');
    expect(etag).toMatch(/^"[^"]+"$/);
    expect(await response.text()).toBe('0123456789');
  });

  it('resumes where it was', async () => {
    const response = await fetch(served.url, { headers: { range: 'bytes=4-', 'if-range': etag } });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe('bytes 4-9/10');
    expect(response.headers.get('etag')).toBe(etag);
    expect(await response.text()).toBe('456789');
  });

  it('sends the whole file for another version, and for ranges that resuming does not need', async () => {
    const changed = await fetch(served.url, { headers: { range: 'bytes=4-', 'if-range': '"other"' } });
    expect([changed.status, await changed.text()]).toEqual([200, '0123456789']);
    const several = await fetch(served.url, { headers: { range: 'bytes=0-1,4-5' } });
    expect([several.status, await several.text()]).toEqual([200, '0123456789']);
  });

  it.each([
    ['behind its end', '', { headers: { range: 'bytes=10-' } }, 416],
    ['another path', '/../package.json', {}, 404],
    ['another method', '', { method: 'DELETE' }, 405],
  ])('%s', async (_what, suffix, init, status) => {
    expect((await fetch(served.url + suffix, init)).status).toBe(status);
  });
});
