import type { ErrorCode } from '#common/errors/error-codes.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { S3Address } from './s3-address.js';

/**
 * What the errors of an object store mean, by their names (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; other stores
 * use the same). The store's own texts are not shown: some hold the access key, or the whole request that was signed.
 */

interface Facts {
  readonly code: ErrorCode;
  /** Behind the address. */
  readonly what: string;
  readonly isPassing?: boolean;
}

const unknownKey = (key: string): Facts => ({ code: 'SOURCE_FORBIDDEN', what: `cannot be read: ${key}` });
/** The SDK compares whole objects with the checksum that they were stored with. */
const CORRUPT: Facts = { code: 'SOURCE_CORRUPT', what: 'does not have the checksum that its store names' };
const CHANGED: Facts = { code: 'SOURCE_CHANGED', what: 'was replaced since the job began' };

const BY_NAME: Readonly<Record<string, Facts>> = {
  NoSuchKey: { code: 'SOURCE_NOT_FOUND', what: 'is not there: the bucket has no such key' },
  NoSuchBucket: { code: 'SOURCE_NOT_FOUND', what: 'is not there: the store has no such bucket' },
  NoSuchVersion: {
    code: 'SOURCE_NOT_FOUND',
    what: 'is not there in this version: it was deleted, or never was',
  },
  NotFound: { code: 'SOURCE_NOT_FOUND', what: 'is not there' },
  MethodNotAllowed: { code: 'SOURCE_NOT_FOUND', what: 'is not there: this version is a delete marker' },
  AccessDenied: unknownKey(
    'the ingestor’s credentials have no right to it (s3:GetObject), or there is no such key',
  ),
  AllAccessDisabled: unknownKey('the store has disabled all access to it'),
  AccountProblem: unknownKey('the store reports a problem with the account'),
  InvalidAccessKeyId: unknownKey('the store does not know the access key of the ingestor'),
  NotSignedUp: unknownKey('the store does not know the access key of the ingestor'),
  SignatureDoesNotMatch: unknownKey('the secret access key of the ingestor is not the one of its access key'),
  ExpiredToken: unknownKey('the ingestor’s session token has expired'),
  InvalidToken: unknownKey('the ingestor’s session token is not valid'),
  RequestTimeTooSkewed: unknownKey('the clocks of ingestor and store are more than 15 minutes apart'),
  CredentialsProviderError: unknownKey(
    'the ingestor has no credentials: no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, no profile, no role',
  ),
  InvalidObjectState: { code: 'SOURCE_FORBIDDEN', what: 'is archived: restore it in the store first' },
  PermanentRedirect: { code: 'SOURCE_UNREACHABLE', what: 'is in another region: set AWS_REGION to it' },
  AuthorizationHeaderMalformed: {
    code: 'SOURCE_UNREACHABLE',
    what: 'is in another region: set AWS_REGION to it',
  },
  TimeoutError: { code: 'SOURCE_STALLED', what: 'is in a store that does not answer', isPassing: true },
  PreconditionFailed: CHANGED,
  InvalidRange: CHANGED,
  ServerSideEncryptionConfigurationNotFoundError: unknownKey('its encryption key is not there'),
};

const BY_STATUS: Readonly<Record<number, Facts>> = {
  301: { code: 'SOURCE_UNREACHABLE', what: 'is in another region: set AWS_REGION to it' },
  401: unknownKey('the store asks for other credentials'),
  403: unknownKey('the store refuses the ingestor’s credentials'),
  404: { code: 'SOURCE_NOT_FOUND', what: 'is not there' },
  412: CHANGED,
  416: CHANGED,
};

/** By the `code` of errors of the connection. */
const BY_NETWORK_CODE: Readonly<Record<string, Facts>> = {
  ENOTFOUND: { code: 'SOURCE_UNREACHABLE', what: 'is in a store whose host name is not known' },
  ECONNREFUSED: {
    code: 'SOURCE_UNREACHABLE',
    what: 'is in a store that cannot be connected to',
    isPassing: true,
  },
  ETIMEDOUT: { code: 'SOURCE_STALLED', what: 'is in a store that does not answer', isPassing: true },
};
const DROPPED: Facts = {
  code: 'SOURCE_TRUNCATED',
  what: 'was cut: the store dropped the connection',
  isPassing: true,
};
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/;

/** Of a store that cannot answer now; another request may be answered. */
const PASSING_STATUSES = new Set([429, 500, 502, 503, 504]);

export interface StoreTrouble {
  readonly error: SluiceError;
  /** Another request may overcome it. */
  readonly isPassing: boolean;
}

/** @param progress what had come before, as a sentence; empty for nothing */
export function storeTrouble(thrown: unknown, { display }: S3Address, progress: string): StoreTrouble {
  if (thrown instanceof SluiceError) return { error: thrown, isPassing: false };
  const { name, message, code, $metadata } = thrown as {
    name?: unknown;
    message?: unknown;
    code?: unknown;
    $metadata?: { httpStatusCode?: number };
  };
  const networkCode = networkCodeOf(code, String(message));
  const { isPassing = false, ...facts } =
    BY_NAME[String(name)] ??
    (/^Checksum mismatch/i.test(String(message)) ? CORRUPT : factsOf($metadata?.httpStatusCode, networkCode));
  const parenthesis = networkCode === '' ? '' : ` (${networkCode})`;
  const text = `${display} ${facts.what}${parenthesis}.${progress === '' ? '' : ` ${progress}`}`;
  return { error: new SluiceError(facts.code, text, { file: display }), isPassing };
}

/** The SDK wraps an error that it does not know for one, and keeps only its words: "connect ECONNREFUSED 127.0.0.1:9000". */
function networkCodeOf(code: unknown, message: string): string {
  if (typeof code === 'string' && /^[A-Z0-9_]+$/.test(code)) return code;
  return /\bE[A-Z]{4,}\b/.exec(message)?.[0] ?? '';
}

function factsOf(status: number | undefined, networkCode: string): Facts {
  if (status !== undefined) {
    const isPassing = PASSING_STATUSES.has(status);
    const what = `was answered with HTTP status ${status}`;
    return BY_STATUS[status] ?? { code: 'SOURCE_SERVER_ERROR', what, isPassing };
  }
  if (CERTIFICATE.test(networkCode))
    return { code: 'SOURCE_UNTRUSTED', what: 'is in a store without a certificate that can be trusted' };
  return BY_NETWORK_CODE[networkCode] ?? DROPPED;
}
