import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { HttpAddress, describeSource, displayOf, parseSourceUri } from './source-uri.js';

describe('parseSourceUri', () => {
  it('takes userinfo out of the URL and makes Basic authorization of it', () => {
    const address = parseSourceUri(
      'https://caf%C3%A9:p%40ss%25@host.example:8443/data.csv?token=1#part',
    ) as HttpAddress;
    expect(address.url().href).toBe('https://host.example:8443/data.csv?token=1');
    const pair = Buffer.from('café:p@ss%', 'utf8').toString('base64');
    expect(address.authorization()).toBe(`Basic ${pair}`);
  });

  it('takes a percent sign that encodes nothing literally', () => {
    const address = parseSourceUri('http://user:100%@host/') as HttpAddress;
    expect(address.authorization()).toBe(`Basic ${Buffer.from('user:100%').toString('base64')}`);
  });

  it('has no authorization without userinfo', () => {
    expect((parseSourceUri('http://host/') as HttpAddress).authorization()).toBeNull();
  });

  it.each([
    ['/data/file.csv', '/data/file.csv'],
    ['/data/a#1?.csv', '/data/a#1?.csv'],
    ['file:///data/a%231%3F.csv', '/data/a#1?.csv'],
    ['file:///data/a%20b.csv', '/data/a b.csv'],
    ['file://localhost/data/file.csv', '/data/file.csv'],
  ])('understands the file %s', (uri, path) => {
    expect(parseSourceUri(uri)).toMatchObject({ kind: 'file', path });
  });

  it.each([
    'data.csv',
    './data.csv',
    '',
    'http://',
    'ftp://host/file.csv',
    's3://bucket/key',
    'javascript:alert(1)',
    'file:data.csv',
    'file:./data.csv',
    'file://other-host/data.csv',
    'file:///data%2Ffile.csv',
    '/data/\0file.csv',
  ])('refuses %j', (uri) => {
    expect(() => parseSourceUri(uri)).toThrow(expect.objectContaining({ code: 'SOURCE_UNSUPPORTED' }));
  });
});

describe('displayOf', () => {
  it.each([
    ['https://user:secret@host:8443/a/b.csv?token=secret&x=secret#secret', 'https://host:8443/a/b.csv?…'],
    ['http://host', 'http://host/'],
    ['s3://key:secret@bucket/path?secret', 's3://bucket/path?…'],
    ['jdbc:postgresql://user:secret@host/db', '(not a URL)'],
    ['secret:secret@host/a.csv', '(not a URL)'],
    ['http://user:secret@', '(not a URL)'],
    ['secret', '(not a URL)'],
    ['file:///data/a.csv?secret', 'file:///data/a.csv'],
    ['/data/line\nbreak.csv', '/data/line\u{FFFD}break.csv'],
  ])('shows %s as %s', (uri, shown) => {
    expect(displayOf(uri)).toBe(shown);
  });

  it('is what a job row holds', () => {
    expect(describeSource('http://user:secret@host/a.csv?k=secret')).toEqual({
      kind: 'http',
      display: 'http://host/a.csv?…',
    });
  });
});

describe('HttpAddress', () => {
  const address = new HttpAddress(new URL('https://user:secret@host/dir/a.csv?key=secret'));

  it('shows no credentials, however it is printed', () => {
    const prints = [inspect(address, { depth: Infinity, showHidden: true }), JSON.stringify(address)];
    for (const print of prints) expect(print).not.toContain('secret');
  });

  it('hands out copies of its URL', () => {
    address.url().pathname = '/changed';
    expect(address.url().pathname).toBe('/dir/a.csv');
  });

  it('resolves redirects relative to itself, without credentials', () => {
    const next = address.redirectedTo('../b.csv?x=1');
    expect(next.url().href).toBe('https://host/b.csv?x=1');
    expect(next.authorization()).toBeNull();
    expect(address.redirectedTo('https://me:too@other/').authorization()).toBeNull();
  });

  it.each([
    ['file:///etc/passwd', 'SOURCE_NOT_ALLOWED'],
    ['http://host/a.csv', 'SOURCE_NOT_ALLOWED'],
    ['https://', 'SOURCE_SERVER_ERROR'],
  ])('follows no redirect to %s', (location, code) => {
    expect(() => address.redirectedTo(location)).toThrow(expect.objectContaining({ code }));
  });
});
