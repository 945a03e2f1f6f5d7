import type { IncomingHttpHeaders } from 'undici/types/header.js';

/** What a response's headers say about its content. Pure. */
export interface ContentHeaders {
  /** Content-Length; null when the length is not told. */
  readonly length: number | null;
  readonly etag: string | null;
  readonly lastModified: string | null;
  /** What If-Range may hold: a strong ETag, else a Last-Modified that is strong; null when there is neither. */
  readonly rangeValidator: string | null;
  /** From Content-Range; null without a usable one. */
  readonly range: ContentRange | null;
}

/** `bytes first-last/total`; total null for `*`. */
export interface ContentRange {
  readonly first: number;
  readonly last: number;
  readonly total: number | null;
}

export function contentHeadersOf(headers: IncomingHttpHeaders): ContentHeaders {
  const etag = single(headers.etag);
  const lastModified = single(headers['last-modified']);
  const acceptsRanges = single(headers['accept-ranges'])?.toLowerCase() !== 'none';
  const validator = strongEtag(etag) ?? strongDate(lastModified, single(headers.date));
  return {
    length: lengthOf(single(headers['content-length'])),
    etag,
    lastModified,
    rangeValidator: acceptsRanges ? validator : null,
    range: rangeOf(single(headers['content-range'])),
  };
}

/** Only an ETag without `W/` promises the same bytes (RFC 9110 sections 8.8.3 and 13.1.5). */
function strongEtag(etag: string | null): string | null {
  return etag !== null && /^"[\x21\x23-\x7e]*"$/.test(etag) ? etag : null;
}

/** A date proves the same bytes only if the content was at least a second old when served (RFC 9110 section 8.8.2.2). */
function strongDate(lastModified: string | null, date: string | null): string | null {
  if (lastModified === null || date === null || !/^[\x20-\x7e]+$/.test(lastModified)) return null;
  return Date.parse(date) - Date.parse(lastModified) >= 1000 ? lastModified : null;
}

function lengthOf(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function rangeOf(text: string | null): ContentRange | null {
  const parts = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(text ?? '');
  if (!parts) return null;
  return {
    first: Number(parts[1]),
    last: Number(parts[2]),
    total: parts[3] === '*' ? null : Number(parts[3]),
  };
}

/** Milliseconds that a Retry-After header asks to wait, given as seconds or as a date; null without one. */
export function retryAfterMs(headers: IncomingHttpHeaders, now: number): number | null {
  const text = single(headers['retry-after']);
  if (text === null) return null;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}

/** The one value of a header; null when it is absent or repeated. */
export function single(value: string | string[] | undefined): string | null {
  return typeof value === 'string' ? value.trim() : null;
}
