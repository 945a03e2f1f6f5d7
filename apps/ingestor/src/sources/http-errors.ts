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
const UNREACHABLE: TroubleFacts = {
  code: 'SOURCE_UNREACHABLE',
  what: 'cannot be connected to',
  passing: true,
};
const UNKNOWN: TroubleFacts = { code: 'SOURCE_UNREACHABLE', what: 'cannot be read', passing: false };
const MALFORMED: TroubleFacts = {
  code: 'SOURCE_SERVER_ERROR',
  what: 'does not speak proper HTTP',
  passing: false,
};

/** By the `code` of errors of undici, node:net and node:dns. */
const TROUBLE: Readonly<Record<string, TroubleFacts>> = {
  UND_ERR_SOCKET: RESET,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: RESET,
  ECONNRESET: RESET,
  EPIPE: RESET,
  UND_ERR_HEADERS_TIMEOUT: STALLED,
  UND_ERR_BODY_TIMEOUT: STALLED,
  UND_ERR_CONNECT_TIMEOUT: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ENETDOWN: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  EAI_AGAIN: UNREACHABLE,
  ENOTFOUND: { code: 'SOURCE_UNREACHABLE', what: 'has a host name that is not known', passing: false },
  UND_ERR_HEADERS_OVERFLOW: MALFORMED,
};

/** Node has some forty codes for certificates (tls: X509 certificate error codes). */
const CERTIFICATE =
  /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS|CRL|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH/;
const UNTRUSTED: TroubleFacts = {
  code: 'SOURCE_UNTRUSTED',
  what: 'has no certificate that can be trusted',
  passing: false,
};

/** @param progress how far reading had come, as a clause for the message; empty before the body */
export function networkTrouble(
  error: unknown,
  display: string,
  progress: string,
): Interruption | SluiceError {
  // The guard's refusal: it knows the address but not the source.
  if (error instanceof SluiceError)
    return new SluiceError(error.code, `${display}: ${error.message}`, { file: display });
  const code = codeOf(error);
  const facts = factsOf(code);
  const text = `${display} ${facts.what}${progress}${code === '' ? '' : ` (${code})`}.`;
  const lasting = new SluiceError(facts.code, text, { file: display });
  return facts.passing ? new Interruption(lasting) : lasting;
}

function factsOf(code: string): TroubleFacts {
  const known = TROUBLE[code];
  if (known) return known;
  if (code.startsWith('HPE')) return MALFORMED;
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
