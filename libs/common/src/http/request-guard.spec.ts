import { describe, expect, it } from '@jest/globals';
import { type GuardSettings, type GuardedRequest, refusalOf } from './request-guard.js';

const SETTINGS: GuardSettings = {
  listeningHost: '0.0.0.0',
  allowedHosts: ['ingestor', '.sluice.svc', 'Proxy.Example.ORG', '10.9.8.7'],
};
const JSON_TYPE = ['Content-Type', 'application/json'];

function judged(request: Partial<GuardedRequest> & { headers?: string[] }): number | null {
  const { headers = [], ...facts } = request;
  const whole = { method: 'GET', target: '/jobs', localAddress: '10.1.2.3', ...facts };
  const host = headers.some((name) => /^host$/i.test(name)) ? [] : ['Host', '127.0.0.1:3001'];
  return refusalOf({ rawHeaders: [...host, ...headers], ...whole }, SETTINGS)?.status ?? null;
}

describe('the request guard', () => {
  it.each([
    ...[
      '127.0.0.1',
      '127.0.0.1:3001',
      '127.9.9.9',
      'localhost',
      'LOCALHOST:1',
      'localhost.',
      '[::1]:3001',
      '[::1]',
    ],
    ...['[0:0:0:0:0:0:0:1]', '10.1.2.3:3001', '[::ffff:10.1.2.3]', '10.9.8.7', '0.0.0.0:3001'],
    ...['ingestor:3001', 'INGESTOR', 'a.sluice.svc', 'a.b.sluice.svc:80', 'proxy.example.org'],
  ])('GU1: serves the host %s', (host) => {
    expect(judged({ headers: ['Host', host] })).toBeNull();
  });

  it.each([
    ...[
      'evil.example',
      'evil.example:3001',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      'evil-localhost',
    ],
    ...[
      '10.1.2.4',
      '[::2]',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '127.0.0.1.nip.io',
      'a.localhost',
    ],
    ...['sluice.svc', 'asluice.svc', 'ingestor.evil.example', 'x.proxy.example.org', '169.254.169.254'],
  ])('GU1: refuses the host %s', (host) => {
    expect(judged({ headers: ['Host', host] })).toBe(403);
  });

  it.each([
    '',
    '127.0.0.1@evil.example',
    'evil.example, 127.0.0.1',
    'http://127.0.0.1',
    '127.0.0.1:x',
    '[::1',
    'a b',
    'é',
  ])('GU2: refuses the Host %j, which is no host', (host) => {
    expect(judged({ headers: ['Host', host] })).toBe(400);
  });

  it('GU1: knows the address of an IPv6 socket by its value', () => {
    const localAddress = '::ffff:10.1.2.3';
    expect(judged({ localAddress, headers: ['Host', '10.1.2.3:3001'] })).toBeNull();
    expect(judged({ localAddress: 'fd00::1', headers: ['Host', '[FD00:0::1]:3001'] })).toBeNull();
    expect(judged({ localAddress: undefined, headers: ['Host', '10.1.2.3'] })).toBe(403);
  });

  it('GU2: refuses two hosts, in headers or in the request URI', () => {
    expect(judged({ headers: ['Host', 'localhost', 'host', 'localhost'] })).toBe(400);
    expect(judged({ target: 'http://evil.example/jobs' })).toBe(400);
    expect(judged({ target: 'http://evil.example/jobs', headers: ['Host', 'evil.example'] })).toBe(403);
    expect(judged({ target: 'http://127.0.0.1:3001/jobs' })).toBeNull();
    expect(judged({ target: 'HTTP://127.0.0.1:3001' })).toBeNull();
    expect(judged({ target: 'http://u@127.0.0.1:3001/jobs' })).toBe(400);
    expect(judged({ target: 'ftp://127.0.0.1:3001/jobs' })).toBe(400);
    expect(judged({ target: 'evil.example:443' })).toBe(400);
    expect(
      refusalOf({ method: 'GET', target: '/', rawHeaders: [], localAddress: '::1' }, SETTINGS),
    ).toBeNull();
  });

  it.each([
    ['http://127.0.0.1:3001', null],
    ['https://127.0.0.1:3001', null],
    ['http://evil.example', 403],
    ['http://127.0.0.1:3004', 403],
    ['http://127.0.0.1', 403],
    ['http://localhost:3001', 403],
    ['null', 403],
    ['', 403],
    ['http://127.0.0.1:3001, http://evil.example', 403],
    ['http://evil.example@127.0.0.1:3001', 403],
    ['file://', 403],
  ])('GU3: a page of %j gets %j', (origin, status) => {
    expect(judged({ headers: ['Origin', origin] })).toBe(status);
    expect(judged({ method: 'POST', headers: ['oRIGIN', origin, ...JSON_TYPE] })).toBe(status);
  });

  it('GU3: the ports that schemes stand for need not be written', () => {
    expect(judged({ headers: ['Host', 'ingestor', 'Origin', 'https://ingestor'] })).toBeNull();
    expect(judged({ headers: ['Host', 'ingestor:443', 'Origin', 'https://ingestor'] })).toBeNull();
    expect(judged({ headers: ['Host', '[::1]', 'Origin', 'http://[::1]:80'] })).toBeNull();
    expect(judged({ headers: ['Host', 'ingestor', 'Origin', 'http://ingestor:8080'] })).toBe(403);
  });

  it.each([
    ['same-origin', null],
    ['none', null],
    ['same-site', 403],
    ['cross-site', 403],
    ['', 403],
    ['something new', 403],
  ])('GU3: Sec-Fetch-Site %j gets %j', (site, status) => {
    expect(judged({ headers: ['Sec-Fetch-Site', site] })).toBe(status);
    expect(judged({ headers: ['Sec-Fetch-Site', 'none', 'sec-fetch-site', site] })).toBe(status);
  });

  it.each([
    ['application/json', null],
    ['Application/JSON; charset=utf-8', null],
    ['application/json;charset="UTF-8"', null],
    ['application/json; charset=utf-16', 415],
    ['application/json, text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['multipart/form-data; boundary=application/json', 415],
    ['text/plain', 415],
    ['text/plain; application/json', 415],
    ['application/jsonp', 415],
    ['application/problem+json', 415],
    ['', 415],
  ])('GU4: a command of the type %j gets %j, with a body or without', (type, status) => {
    expect(judged({ method: 'POST', headers: ['Content-Type', type] })).toBe(status);
    expect(judged({ method: 'POST', headers: ['Content-Type', type, 'Content-Length', '2'] })).toBe(status);
  });

  it('GU4: without a content type nothing is commanded, and no GET has a body of another one', () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']) expect(judged({ method })).toBe(415);
    expect(judged({ method: 'POST', headers: [...JSON_TYPE, 'content-type', 'text/plain'] })).toBe(415);
    expect(judged({ headers: ['Content-Length', '0'] })).toBeNull();
    expect(judged({ headers: ['Content-Length', '3'] })).toBe(415);
    expect(judged({ headers: ['Transfer-Encoding', 'chunked'] })).toBe(415);
    expect(judged({ headers: ['Transfer-Encoding', 'chunked', ...JSON_TYPE] })).toBeNull();
  });
});
