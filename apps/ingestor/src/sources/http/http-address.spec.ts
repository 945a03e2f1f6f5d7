import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { HttpAddress } from './http-address.js';

const addressOf = (text: string): HttpAddress => new HttpAddress(new URL(text));

describe('HttpAddress', () => {
  it('takes userinfo out of the URL and makes Basic authorization of it', () => {
    const address = addressOf('https://caf%C3%A9:p%40ss%25@host.example:8443/data.csv?token=1#part');
    expect(address.url().href).toBe('https://host.example:8443/data.csv?token=1');
    const pair = Buffer.from('café:p@ss%', 'utf8').toString('base64');
    expect(address.authorization()).toBe(`Basic ${pair}`);
  });

  it('takes a percent sign that encodes nothing literally', () => {
    const address = addressOf('http://user:100%@host/');
    expect(address.authorization()).toBe(`Basic ${Buffer.from('user:100%').toString('base64')}`);
  });

  it('has no authorization without userinfo', () => {
    expect(addressOf('http://host/').authorization()).toBeNull();
  });

  it.each([
    ['https://user:secret@host:8443/a/b.csv?token=secret&x=secret#secret', 'https://host:8443/a/b.csv?…'],
    ['http://host', 'http://host/'],
  ])('shows %s as %s', (uri, shown) => {
    expect(addressOf(uri).display).toBe(shown);
  });

  const address = addressOf('https://user:secret@host/dir/a.csv?key=secret');

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
