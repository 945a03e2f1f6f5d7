import { describe, expect, it } from '@jest/globals';
import { contentHeadersOf, retryAfterMs } from './http-headers.js';

describe('contentHeadersOf', () => {
  const old = 'Mon, 05 Oct 2026 08:00:00 GMT';
  const justNow = 'Mon, 05 Oct 2026 09:00:00 GMT';

  it.each([
    [{ etag: '"abc"' }, '"abc"'],
    [{ etag: 'W/"abc"' }, null],
    [{ etag: 'abc' }, null],
    [{ etag: '"a\u{00e9}c"' }, null],
    [{ 'last-modified': old, date: justNow }, old],
    [{ 'last-modified': justNow, date: justNow }, null],
    [{ 'last-modified': old }, null],
    [{ 'last-modified': 'yesterday', date: justNow }, null],
    [{ etag: 'W/"abc"', 'last-modified': old, date: justNow }, old],
    [{ etag: '"abc"', 'last-modified': old, date: justNow }, '"abc"'],
    [{ etag: '"abc"', 'accept-ranges': 'none' }, null],
    [{ etag: '"abc"', 'accept-ranges': 'bytes' }, '"abc"'],
    [{}, null],
  ])('takes from %j the range validator %j', (headers, validator) => {
    expect(contentHeadersOf(headers).rangeValidator).toBe(validator);
  });

  it.each([
    ['bytes 5-9/10', { first: 5, last: 9, total: 10 }],
    ['bytes 5-9/*', { first: 5, last: 9, total: null }],
    ['bytes */10', null],
    ['lines 5-9/10', null],
    ['bytes=5-9/10', null],
  ])('reads the Content-Range %s', (text, range) => {
    expect(contentHeadersOf({ 'content-range': text }).range).toEqual(range);
  });

  it.each([
    ['12', 12],
    ['-1', null],
    ['1e3', null],
    ['', null],
  ])('reads the Content-Length %j', (text, length) => {
    expect(contentHeadersOf({ 'content-length': text }).length).toBe(length);
  });
});

describe('retryAfterMs', () => {
  const now = Date.parse('Mon, 05 Oct 2026 09:00:00 GMT');

  it.each([
    ['7', 7000],
    ['0', 0],
    ['Mon, 05 Oct 2026 09:00:30 GMT', 30_000],
    ['Mon, 05 Oct 2026 08:00:00 GMT', 0],
    ['soon', null],
  ])('reads %s', (text, wait) => {
    expect(retryAfterMs({ 'retry-after': text }, now)).toBe(wait);
  });

  it('is null without the header', () => {
    expect(retryAfterMs({}, now)).toBeNull();
  });
});
