/** What a response's headers say about its content. Pure. */
export interface ContentHeaders {
  /** Content-Length; null when the length is not stated, or does not count beside Transfer-Encoding. */
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

/** Of undici or of node:http. */
export type ResponseHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export function contentHeadersOf(headers: ResponseHeaders): ContentHeaders {
  const etag = single(headers.etag);
  const lastModified = single(headers['last-modified']);
  const acceptsRanges = single(headers['accept-ranges'])?.toLowerCase() !== 'none';
  const validator = strongEtag(etag) ?? strongDate(lastModified, single(headers.date));
  return {
    length: isFramedTwice(headers) ? null : lengthOf(single(headers['content-length'])),
    etag,
    lastModified,
    rangeValidator: acceptsRanges ? validator : null,
    range: rangeOf(single(headers['content-range'])),
  };
}

/** A length beside a transfer coding says nothing of the body (RFC 9112 section 6.3). */
export function isFramedTwice(headers: ResponseHeaders): boolean {
  return headers['transfer-encoding'] !== undefined && headers['content-length'] !== undefined;
}

/**
 * The Location of a redirect; null without one, or with several that differ. Servers write UTF-8 or another encoding
 * into it as it is, which arrives as a character a byte: browsers and curl ask for these very bytes.
 */
export function locationOf(headers: ResponseHeaders): string | null {
  const values = valuesOf(headers.location);
  const [location] = values;
  if (location === undefined || values.some((value) => value !== location)) return null;
  return location
    .trim()
    .replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** All values of a header that may be repeated. */
export function valuesOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/** Packings by these names are real ones. gzip is recognised by content; the others cannot be undone. */
const KNOWN_CODINGS = new Set([
  ...['br', 'deflate', 'compress', 'x-compress', 'zstd', 'dcb', 'dcz', 'exi', 'pack200-gzip', 'aes128gcm'],
  ...['bzip2', 'x-bzip2', 'bz2', 'xz', 'lzma', 'lz4', 'snappy', 'brotli'],
]);
const NO_CODINGS = new Set(['', 'identity', 'gzip', 'x-gzip']);

/** What Content-Encoding says beyond what content shows by itself. */
export interface OddEncoding {
  /** As it came, fit to be shown. */
  readonly value: string;
  /** A packing that exists and is not undone; else a word that is none, as object stores keep them. */
  readonly isPacking: boolean;
}

/** @returns null where the content speaks for itself */
export function oddEncodingOf(headers: ResponseHeaders): OddEncoding | null {
  const value = valuesOf(headers['content-encoding']).join(', ');
  const words = value.split(',').map((word) => word.trim().toLowerCase());
  if (words.every((word) => NO_CODINGS.has(word))) return null;
  const shown = value.trim().replace(/[^\x20-\x7e]/g, '\u{FFFD}');
  return {
    value: shown.length > 60 ? `${shown.slice(0, 60)}…` : shown,
    isPacking: words.some((word) => KNOWN_CODINGS.has(word)),
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
export function retryAfterMs(headers: ResponseHeaders, now: number): number | null {
  const text = single(headers['retry-after']);
  if (text === null) return null;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}

/** The one value of a header; null when it is absent or repeated. */
export function single(value: string | readonly string[] | undefined): string | null {
  return typeof value === 'string' ? value.trim() : null;
}
