import 'reflect-metadata';
import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import { get } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, type INestApplication, Module, Post } from '@nestjs/common';
import pg from 'pg';
import { pino } from 'pino';
import { SELF_SIGNED } from '#test/support/self-signed.js';
import { NeedsRole } from './role.js';
import { localAccess, noAudit } from './local-access.js';
import { createHttpApp } from './http-app.js';
import { depthOf } from './json-depth.js';

class EchoController {
  read(): string {
    return 'read';
  }

  fail(): never {
    throw Object.assign(new pg.DatabaseError('invalid value "canary"', 0, 'error'), { code: '22P02' });
  }

  write(body: unknown): unknown {
    return { got: body ?? null };
  }
}
Controller()(EchoController);
NeedsRole('read')(EchoController);
decorate('read', Get());
decorate('fail', Get('fail'));
decorate('write', Post());
Body()(EchoController.prototype, 'write', 0);

class EchoModule {}
Module({ controllers: [EchoController] })(EchoModule);

function decorate(method: 'read' | 'fail' | 'write', decorator: MethodDecorator): void {
  const descriptor = Object.getOwnPropertyDescriptor(EchoController.prototype, method);
  if (descriptor) decorator(EchoController.prototype, method, descriptor);
}

describe('the HTTP side of a service', () => {
  let app: INestApplication;
  let port: number;

  beforeAll(async () => {
    const logger = pino({ level: 'silent' });
    app = await createHttpApp(EchoModule, {
      logger,
      nestLogger: false,
      access: localAccess(),
      audit: noAudit(),
      listeningHost: '127.0.0.1',
      allowedHosts: ['ingestor'],
    });
    await app.listen(0, '127.0.0.1');
    ({ port } = (app.getHttpServer() as Server).address() as AddressInfo);
  });

  afterAll(() => app.close());

  /** What comes back for bytes that were written by hand. */
  async function answerTo(...lines: string[]): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    socket.on('error', () => undefined);
    socket.end(lines.join('\r\n'));
    await once(socket, 'close');
    return Buffer.concat(pieces).toString();
  }

  const post = (type: string, body: string | Buffer): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers: { 'content-type': type }, body });

  it('takes JSON, and no form of HTML', async () => {
    const json = await post('application/json', '{"dataset":"shops"}');
    expect([json.status, await json.json()]).toEqual([201, { got: { dataset: 'shops' } }]);
    for (const type of [
      'application/x-www-form-urlencoded',
      'text/plain',
      'multipart/form-data; boundary=x',
    ]) {
      const refused = await post(type, 'dataset=shops');
      expect([type, refused.status, await refused.json()]).toMatchObject([
        type,
        415,
        { code: 'REQUEST_INVALID', status: 415 },
      ]);
      expect(refused.headers.get('content-type')).toBe('application/problem+json');
    }
  });

  it('refuses foreign hosts and pages before anything is done', async () => {
    const foreign = await answerTo('GET / HTTP/1.1', 'Host: evil.example', '', '');
    expect(foreign).toMatch(/^HTTP\/1\.1 403 [^]*"code":"REQUEST_FORBIDDEN"/);
    expect(await answerTo('GET / HTTP/1.1', 'Host: ingestor', 'Connection: close', '', '')).toMatch(/ 200 /);
    const page = [
      'Origin: http://evil.example',
      'Content-Type: application/json',
      'Content-Length: 2',
      '',
      '{}',
    ];
    expect(await answerTo('POST / HTTP/1.1', 'Host: localhost', ...page)).toMatch(/ 403 /);
    expect(await answerTo('GET http://evil.example/ HTTP/1.1', 'Host: localhost', '', '')).toMatch(/ 400 /);
    expect(await answerTo('GET / HTTP/1.1', 'Host: localhost', 'Host: evil.example', '', '')).toMatch(
      / 400 /,
    );
    expect(await answerTo('OPTIONS / HTTP/1.1', 'Host: localhost', 'Origin: null', '', '')).toMatch(/ 403 /);
  });

  it('does not read the rest of a refused request as another request', async () => {
    const hidden = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const answer = await answerTo(
      'POST / HTTP/1.1',
      'Host: localhost',
      `Content-Length: ${hidden.length}`,
      '',
      hidden,
    );
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 415']);
  });

  it.each([
    ['broken JSON', '{', 400],
    ['a text', '"x"', 400],
    ['bytes that are no UTF-8', Buffer.from('7b2261223a22ff227d', 'hex'), 400],
    ['a list nested 30,000 deep', '['.repeat(30_000) + ']'.repeat(30_000), 400],
    ['an object nested 17 deep', '{"a":'.repeat(17) + '1' + '}'.repeat(17), 400],
    ['an object nested 16 deep', '{"a":'.repeat(16) + '1' + '}'.repeat(16), 201],
    ['an object with a name that every object has', '{"toString":1}', 400],
    ['an object with the name of its prototype', '{"__proto__":{"dataset":"x"}}', 400],
    ['more than 100 KiB', JSON.stringify({ a: 'x'.repeat(102_400) }), 413],
  ])('a body of %s is answered %j', async (_, body, status) => {
    const answer = await post('application/json', body);
    expect(answer.status).toBe(status);
    if (status !== 201) expect(await answer.json()).toMatchObject({ code: 'REQUEST_INVALID', status });
  });

  it('takes a value that PostgreSQL does not take for the fault of the request', async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/fail`);
    const text = await answer.text();
    expect(answer.status).toBe(422);
    expect(text).toContain('22P02');
    expect(text).not.toContain('canary');
  });

  it('does not name its software, and forbids browsers to guess content types', async () => {
    for (const path of ['/', '/nothing']) {
      const { headers } = await fetch(`http://127.0.0.1:${port}${path}`);
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
    }
  });

  it('bounds connections and how long a request may take to arrive', () => {
    const server = app.getHttpServer() as Server;
    expect(server.maxConnections).toBeLessThanOrEqual(1_000);
    expect(server.headersTimeout).toBeLessThanOrEqual(10_000);
    expect(server.requestTimeout).toBeLessThanOrEqual(30_000);
  });
});

it('depth is counted without calls into the depth', () => {
  expect([1, null, 'x', {}, [], [[]], { a: [{}] }].map(depthOf)).toEqual([0, 0, 0, 1, 1, 2, 3]);
  let deep: unknown = 0;
  for (let level = 0; level < 200_000; level++) deep = [deep];
  expect(depthOf(deep)).toBe(200_000);
});

describe('a port with a certificate', () => {
  it('answers over HTTPS as it does over HTTP', async () => {
    const secure = await createHttpApp(EchoModule, {
      ...{
        logger: pino({ level: 'silent' }),
        nestLogger: false,
        listeningHost: '127.0.0.1',
        allowedHosts: [],
      },
      ...{ access: localAccess(), audit: noAudit(), tls: { tls: () => SELF_SIGNED } },
    });
    await secure.listen(0, '127.0.0.1');
    const address = (secure.getHttpServer() as Server).address() as AddressInfo;
    const options = { port: address.port, host: '127.0.0.1', ca: SELF_SIGNED.cert, agent: false } as const;
    const [response] = (await once(get(options), 'response')) as [IncomingMessage];
    expect([response.statusCode, response.headers['x-content-type-options']]).toEqual([200, 'nosniff']);
    response.resume();
    await once(response, 'end');
    await secure.close();
  });
});
