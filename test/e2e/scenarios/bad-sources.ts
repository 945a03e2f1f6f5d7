/**
 * A source that cannot be trusted is refused whole (G5): the job fails with a code and a sentence that says what was
 * found, and the rows that were there stay. Each kind of trouble on the real system.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { crc32 } from '@node-rs/crc32';
import { query } from '../../support/expect-tables.js';
import { clientOf, jobEnd, runJob } from '../../support/run-job.js';
import { DATE_LINE, HEADER, fileOf, row, rows } from '../../support/small-file.js';
import { type SourceServer, startSourceServer } from '../../support/source-server.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const MIB = 1024 * 1024;
/** A server that stalls is given up, and attempts follow each other, while one waits; a small bomb is enough. */
export const BAD_SOURCES_ENV: Readonly<Record<string, string>> = {
  SLUICE_SOURCE_RETRY_FACTOR_MS: '5',
  SLUICE_SOURCE_IDLE_TIMEOUT_MS: '300',
  SLUICE_SOURCE_RATIO_FREE_BYTES: String(MIB),
};
const CANARY = 'canary-9f3a';

const bodies: Record<string, string | Buffer> = {
  'good.csv': fileOf(...rows(20)),
  'page.html': '<!DOCTYPE html><html><body>Service unavailable</body></html>',
  'empty.csv': '',
  'header-only.csv': `${HEADER}\n`,
  'header-and-date.csv': `${HEADER}\n${DATE_LINE}\n`,
  'no-number.csv': `${HEADER.replace('統一編號,總', '編號,總')}\n${DATE_LINE}\n${row(1)}\n`,
  'county-and-town.csv': `${HEADER.replace('營業地址', '縣市名稱,鄉鎮市區名稱')}\n"臺中市",${row(1)}\n`,
  'preamble.csv': `備註:本檔案為公開資料\n檔案產生日期：2016-01-01\n${fileOf(row(1))}`,
  'owner.csv': `${HEADER.replace('資本額', '負責人姓氏,資本額')}\n${row(1)}\n`,
  'semicolons.csv': `${HEADER.replaceAll(',', ';')}\n${row(1).replaceAll(',', ';')}\n`,
  'unnumbered.csv': `${HEADER.replace(/名稱1.*/, '名稱,行業代號,名稱,行業代號,名稱')}\n${row(1)}\n`,
  'big5.csv': Buffer.concat([
    Buffer.from('b2ce a440 bd73 b8b9 2c'.replaceAll(' ', ''), 'hex'),
    Buffer.from('\n10000009,\xb0\xd3\xa6\xe6\n', 'latin1'),
  ]),
  'utf16.csv': Buffer.from(`\u{feff}${fileOf(row(1))}`, 'utf16le'),
  'binary.csv': Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 256)),
  'two-members.zip': zipOf({ 'a.csv': fileOf(row(1)), 'b.csv': fileOf(row(2)) }),
  'bomb.gz': gzipSync(Buffer.concat([Buffer.from(fileOf(row(1))), Buffer.alloc(40 * MIB, 'a')])),
  'cut.gz': gzipSync(fileOf(...rows(2000))).subarray(0, 5000),
};

export const badSources = scenario('a source that is refused', {}, (running) => {
  let system: System;
  let server: SourceServer;

  beforeAll(async () => {
    system = running();
    await query(system, 'TRUNCATE tax_registration CASCADE');
    server = await startSourceServer((request, response) => {
      answer(new URL(request.url ?? '/', 'http://source').pathname, response);
    });
    await runJob(system, { dataset: 'tax-registration', source: server.url('/good.csv') });
    expect(await names()).toHaveLength(20);
  });

  afterAll(() => server.close());

  const names = async (): Promise<string[]> =>
    (
      await query<{ name: string }>(system, 'SELECT business_name AS name FROM tax_registration ORDER BY ban')
    ).map(({ name }) => name);

  async function expectRefused(source: string, code: string, says: RegExp): Promise<void> {
    const before = await names();
    const job = await runJob(system, { dataset: 'tax-registration', source, allowShrink: true });
    expect(job).toMatchObject({ state: 'failed', error: { code } });
    expect(job.error?.message).toMatch(says);
    expect(job.error?.action).not.toBe('');
    expect(await names()).toEqual(before);
  }

  it.each([
    ['a page that is not there', '/status/404', 'SOURCE_NOT_FOUND', /404/],
    ['a page that is forbidden', '/status/403', 'SOURCE_FORBIDDEN', /403/],
    ['a server that fails', '/status/500', 'SOURCE_SERVER_ERROR', /500/],
    ['a body cut short, again and again', '/cut-short', 'SOURCE_TRUNCATED', /bytes/],
    ['a server that stalls', '/stalls', 'SOURCE_STALLED', /./],
    ['a redirect to a metadata address', '/to-metadata', 'SOURCE_NOT_ALLOWED', /169\.254/],
    ['a web page', '/page.html', 'SOURCE_REFUSED', /HTML/],
    ['an empty file', '/empty.csv', 'SOURCE_EMPTY', /./],
    ['a header without records', '/header-only.csv', 'SOURCE_REFUSED', /record/],
    ['a header and a date line without records', '/header-and-date.csv', 'SOURCE_REFUSED', /record/],
    ['a missing column', '/no-number.csv', 'SOURCE_REFUSED', /統一編號/],
    ['the layout with county and town', '/county-and-town.csv', 'SOURCE_REFUSED', /2016|county|town|縣市/i],
    ['the layout with a preamble', '/preamble.csv', 'SOURCE_REFUSED', /備註|preamble|line 1/i],
    ['the layout with owners', '/owner.csv', 'SOURCE_REFUSED', /負責人姓氏/],
    ['the layout with semicolons', '/semicolons.csv', 'SOURCE_REFUSED', /;|semicolon/i],
    ['the layout with unnumbered industries', '/unnumbered.csv', 'SOURCE_REFUSED', /行業代號/],
    ['Big5 bytes', '/big5.csv', 'SOURCE_REFUSED', /UTF-8/],
    ['UTF-16', '/utf16.csv', 'SOURCE_REFUSED', /UTF-16/],
    ['a binary file', '/binary.csv', 'SOURCE_REFUSED', /./],
    ['a zip with two members', '/two-members.zip', 'SOURCE_UNSUPPORTED', /member/],
    ['a zip bomb', '/bomb.gz', 'SOURCE_TOO_LARGE', /./],
    ['a broken gzip', '/cut.gz', 'SOURCE_TRUNCATED', /./],
  ])('%s', async (_, path, code, says) => {
    await expectRefused(server.url(path), code, says);
  });

  it('a refused connection', async () => {
    await expectRefused('http://127.0.0.1:1/data.csv', 'SOURCE_UNREACHABLE', /127\.0\.0\.1/);
  });

  it.each(['http://169.254.169.254/latest/meta-data', 'http://[fe80::1]/x', 'http://0.0.0.0/x'])(
    'an address that no source may have: %s',
    async (source) => {
      await expectRefused(source, 'SOURCE_NOT_ALLOWED', /./);
    },
  );

  it('a directory, and a file that is not there', async () => {
    const folder = join(system.folder, 'a-folder');
    mkdirSync(folder);
    await expectRefused(folder, 'SOURCE_UNSUPPORTED', /director|folder/i);
    await expectRefused(join(folder, 'missing.csv'), 'SOURCE_NOT_FOUND', /missing\.csv/);
  });

  it('a path outside the allowed folders, when the caller has no token', async () => {
    const path = join(system.folder, 'good.csv');
    writeFileSync(path, bodies['good.csv'] ?? '');
    const response = await fetch(`${system.ingestorUrl}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer wrong' },
      body: JSON.stringify({ dataset: 'tax-registration', source: path }),
    });
    const { id } = (await response.json()) as { id: string };
    expect(await jobEnd(system, id)).toMatchObject({
      state: 'failed',
      error: { code: 'SOURCE_NOT_ALLOWED' },
    });
  });

  it('every wrong field of a request is named at once, and nothing is started', async () => {
    const request = { dataset: 'nothing', mode: 'overwrite', limit: 0, colour: 'red' };
    const response = await fetch(`${system.ingestorUrl}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    expect(response.status).toBe(422);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    const { errors } = (await response.json()) as { errors: { field: string }[] };
    expect(new Set(errors.map(({ field }) => field))).toEqual(new Set(['mode', 'limit', 'colour']));
    await expect(clientOf(system).startJob({ dataset: 'nothing' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  it('credentials of a source appear nowhere', async () => {
    const url = new URL(server.url('/status/403'));
    url.username = 'someone';
    url.password = CANARY;
    url.search = `?token=${CANARY}`;
    const job = await runJob(system, { dataset: 'tax-registration', source: url.href });
    expect(job.state).toBe('failed');
    const pages = await Promise.all(
      ['/jobs', `/jobs/${job.id}`, `/jobs/${job.id}/batches`, '/dead-letters'].map(async (path) =>
        (await fetch(`${system.trackerUrl}${path}`)).text(),
      ),
    );
    const shown = ['ingestor', 'validator', 'loader', 'tracker'].map((app) => system.logsOf(app));
    expect([...pages, ...shown].filter((text) => text.includes(CANARY))).toEqual([]);
    expect(server.requests.at(-1)?.headers.authorization).toBe(
      `Basic ${Buffer.from(`someone:${CANARY}`).toString('base64')}`,
    );
  });

  it('listens on loopback only', async () => {
    const outer = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal);
    if (!outer) return;
    const url = new URL(system.trackerUrl);
    url.hostname = outer.address;
    await expect(fetch(url)).rejects.toThrow();
  });
});

function answer(path: string, response: ServerResponse): void {
  const status = /^\/status\/(\d+)$/.exec(path)?.[1];
  const body = Buffer.from(bodies[path.slice(1)] ?? '');
  if (status !== undefined) response.writeHead(Number(status)).end();
  else if (path === '/to-metadata') {
    response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end();
  } else if (path === '/cut-short' || path === '/stalls') {
    const whole = Buffer.from(fileOf(...rows(100)));
    response.writeHead(200, { 'content-length': whole.length });
    response.write(whole.subarray(0, 2000), () => {
      if (path === '/cut-short') response.destroy();
    });
  } else response.writeHead(200, { 'content-length': body.length }).end(body);
}

/** A zip archive of stored-size members, deflated (APPNOTE 4.3). */
function zipOf(members: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(members)) {
    const data = deflateRawSync(text);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(text), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(Buffer.byteLength(text), 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), data]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    directory.push(
      Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fields, place, Buffer.from(name)]),
    );
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}
