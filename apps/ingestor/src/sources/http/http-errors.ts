import { SluiceError } from '#common/errors/sluice-error.js';
import type { ErrorCode } from '#common/errors/error-codes.js';

/**
 * Which trouble with a server is worth another request, and what it is called when it stays.
 * Causes are not attached: libraries keep request options in their errors, and with them credentials.
 */

/** Trouble that another request may overcome. */
export class Interruption extends Error {
  /**
   * @param lasting the error if it does not pass
   * @param waitMs what the server asked to wait; null for nothing
   */
  constructor(
    readonly lasting: SluiceError,
    readonly waitMs: number | null = null,
  ) {
    super(lasting.message);
  }
}

interface TroubleFacts {
  readonly code: ErrorCode;
  readonly what: string;
  readonly passing: boolean;
}

const RESET: TroubleFacts = { code: 'SOURCE_TRUNCATED', what: 'dropped the connection', passing: true };
const STALLED: TroubleFacts = { code: 'SOURCE_STALLED', what: 'stopped sending', passing: true };
const unreachable = (what: string, passing = false): TroubleFacts => ({
  code: 'SOURCE_UNREACHABLE',
  what,
  passing,
});
const UNREACHABLE = unreachable('cannot be connected to', true);
const UNKNOWN = unreachable('cannot be read');
const MALFORMED: TroubleFacts = {
  code: 'SOURCE_SERVER_ERROR',
  what: 'does not speak proper HTTP',
  passing: false,
};
/** Before the first byte of an answer nothing was cut. */
const NO_ANSWER = unreachable('closed the connection without an answer', true);
const NO_HANDSHAKE = unreachable('closed the connection in the TLS handshake', true);
const TLS_FOR_HTTP = unreachable('speaks TLS at this port: its address begins with https://');

/** By the `code` of errors of undici, node:net and node:dns. */
const TROUBLE: Readonly<Record<string, TroubleFacts>> = {
  UND_ERR_SOCKET: RESET,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: RESET,
  ECONNRESET: RESET,
  EPIPE: RESET,
  UND_ERR_HEADERS_TIMEOUT: STALLED,
  UND_ERR_BODY_TIMEOUT: STALLED,
  UND_ERR_CONNECT_TIMEOUT: UNREACHABLE,
  ERR_TLS_HANDSHAKE_TIMEOUT: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ENETDOWN: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  EAI_AGAIN: UNREACHABLE,
  ENOTFOUND: unreachable('has a host name that is not known'),
  UND_ERR_HEADERS_OVERFLOW: MALFORMED,
  HPE_UNEXPECTED_CONTENT_LENGTH: { ...MALFORMED, what: 'announces more than one length of its body' },
};

/** OpenSSL's reasons (ERR_SSL_…), by what they mean to the person who wrote the address; the first that fits. */
const HANDSHAKE: readonly (readonly [RegExp, TroubleFacts])[] = [
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH|RECORD_LENGTH|UNKNOWN_PROTOCOL|HTTP_REQUEST|BAD_RECORD_TYPE|UNEXPECTED_MESSAGE/,
    unreachable('does not speak TLS at this port: the address of plain HTTP begins with http://'),
  ],
  [
    /CERTIFICATE_REQUIRED|ALERT_(BAD|NO|UNSUPPORTED)_CERTIFICATE|ALERT_CERTIFICATE|ALERT_UNKNOWN_CA|ALERT_ACCESS_DENIED/,
    { code: 'SOURCE_FORBIDDEN', what: 'asks for a certificate of its client', passing: false },
  ],
  [/UNRECOGNIZED_NAME/, unreachable('does not know this host name')],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW/,
    unreachable('speaks no version of TLS from 1.2 on'),
  ],
  [/NO_APPLICATION_PROTOCOL/, unreachable('does not speak HTTP/1.1 over TLS')],
  [
    /HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY/,
    unreachable('refuses the TLS handshake: no cipher in common, or it asks for a certificate of its client'),
  ],
  [
    /KEY_TOO_SMALL|MD_TOO_WEAK/,
    { code: 'SOURCE_UNTRUSTED', what: 'has keys that are too weak', passing: false },
  ],
  [/^/, unreachable('does not agree on TLS')],
];

/** Node has some forty codes for certificates (tls: X509 certificate error codes). */
const CERTIFICATE =
  /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS|CRL|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH/;
const UNTRUSTED: TroubleFacts = {
  code: 'SOURCE_UNTRUSTED',
  what: 'has no certificate that can be trusted',
  passing: false,
};

/** @param progress how far reading the body had come, as a clause for the message; null before the body */
export function networkTrouble(
  error: unknown,
  display: string,
  progress: string | null,
): Interruption | SluiceError {
  // The guard's refusal: it knows the address but not the source.
  if (error instanceof SluiceError)
    return new SluiceError(error.code, `${display}: ${error.message}`, { file: display });
  const code = codeOf(error);
  const facts = progress === null ? (beforeBody(error, code) ?? factsOf(code)) : factsOf(code);
  const text = `${display} ${facts.what}${progress ?? ''}${code === '' ? '' : ` (${code})`}.`;
  const lasting = new SluiceError(facts.code, text, { file: display });
  return facts.passing ? new Interruption(lasting) : lasting;
}

/** undici goes by the length that stands beside a transfer coding, or refuses both: see lenient-get.ts. */
export function isFramedTwiceTrouble(error: unknown): boolean {
  const { name, message, code } = error as { name?: unknown; message?: unknown; code?: unknown };
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return true;
  return name === 'HTTPParserError' && /Transfer-Encoding/i.test(String(message));
}

/** What the same code means while there is no answer yet; null where it means what it always does. */
function beforeBody(error: unknown, code: string): TroubleFacts | null {
  const { message, data } = error as { message?: unknown; data?: unknown };
  if (/before secure TLS connection/.test(String(message))) return NO_HANDSHAKE;
  // A TLS alert (RFC 8446 section 5.1) where HTTP was expected.
  if (/^\x15\x03[\x00-\x04]/.test(String(data))) return TLS_FOR_HTTP;
  return TROUBLE[code] === RESET ? NO_ANSWER : null;
}

function factsOf(code: string): TroubleFacts {
  const known = TROUBLE[code];
  if (known) return known;
  if (code.startsWith('HPE')) return MALFORMED;
  if (code.startsWith('ERR_SSL') || code === 'EPROTO') {
    return HANDSHAKE.find(([reason]) => reason.test(code))?.[1] ?? UNKNOWN;
  }
  return CERTIFICATE.test(code) ? UNTRUSTED : UNKNOWN;
}

/** undici's HTTPParserError has a code (HPE_…) only where llhttp gave one. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  if (code === undefined && name === 'HTTPParserError') return 'HPE';
  return typeof code === 'string' && /^[A-Z0-9_]+$/.test(code) ? code : '';
}

const PASSING_STATUSES = new Set([429, 500, 502, 503, 504]);

/** What a status other than 200 and 206 means. @param waitMs what Retry-After asks; null without it */
export function statusTrouble(
  status: number,
  display: string,
  waitMs: number | null,
): Interruption | SluiceError {
  const error = new SluiceError(statusCode(status), `${display} answered with HTTP status ${status}.`, {
    file: display,
  });
  return PASSING_STATUSES.has(status) ? new Interruption(error, waitMs) : error;
}

function statusCode(status: number): ErrorCode {
  if (status === 404 || status === 410) return 'SOURCE_NOT_FOUND';
  if (status === 401 || status === 403 || status === 407) return 'SOURCE_FORBIDDEN';
  if (status === 204 || status === 205) return 'SOURCE_EMPTY';
  return 'SOURCE_SERVER_ERROR';
}
