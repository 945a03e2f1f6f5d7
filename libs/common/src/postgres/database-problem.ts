import { isNativeError } from 'node:util/types';
import type { ErrorCode } from '../errors/error-codes.js';
import { SluiceError, messageOf } from '../errors/sluice-error.js';
import { classifyDatabaseError } from './sqlstate.js';

/**
 * What settings, grants and states of servers prevent, with advice on what to do. None of it is Sluice's own fault, so
 * none of it is ever INTERNAL. PURE.
 *
 * - DATABASE_REFUSED: it stays until a setting or a right is changed.
 * - DATABASE_UNAVAILABLE: it may pass by itself, and work is retried.
 */
interface Rule {
  readonly code: ErrorCode;
  /** SQLSTATEs, Node's codes, or a pattern of the message. */
  readonly when: readonly (string | RegExp)[];
  /** What to do, as a sentence. */
  readonly advice: string;
}

const RULES: readonly Rule[] = [
  {
    code: 'SETTING_INVALID',
    when: ['ERR_INVALID_URL'],
    advice:
      'DATABASE_URL must be one address, postgres://user:password@host:5432/database, with special characters of the password percent-encoded; several hosts are not supported: name the primary, or an address that leads to it.',
  },
  {
    code: 'SETTING_INVALID',
    when: ['ENOENT', 'EACCES'],
    advice: 'Correct the file or socket that DATABASE_URL names.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: [/does not support SSL/i],
    advice: 'Take sslmode out of DATABASE_URL, or switch ssl on at the server.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: ['ERR_TLS_CERT_ALTNAME_INVALID'],
    advice:
      'The certificate of the server is for other host names: write in DATABASE_URL one that it has, or renew it with this one.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'],
    advice:
      "Renew the certificate of the server, or of its authority in sslrootcert of DATABASE_URL; or correct this machine's clock.",
  },
  {
    code: 'DATABASE_REFUSED',
    when: [/^ERR_SSL_.*ALERT/, /requires a valid client certificate|certificate authentication failed/i],
    advice:
      'The server does not accept the certificate that sslcert and sslkey in DATABASE_URL name, or asks for one and DATABASE_URL names none.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: [
      /^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_|CERT_|ERR_TLS_CERT)/,
      /self.signed certificate|unable to (verify|get).*certificate|certificate has expired|does not match certificate/i,
    ],
    advice:
      'The certificate of the server cannot be verified: name its authority by sslrootcert in DATABASE_URL or by NODE_EXTRA_CA_CERTS.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: [/SASL.*password must be a/i],
    advice: 'The server asks for a password, and DATABASE_URL has none.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: ['28P01'],
    advice: 'Correct user and password in DATABASE_URL; special characters are percent-encoded there.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: ['28000', '28'],
    advice:
      'Correct the user in DATABASE_URL, or admit it in pg_hba.conf; where TLS is required, add ?sslmode=verify-full.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: ['3D000'],
    advice: 'Create the database (CREATE DATABASE … ENCODING UTF8), or correct its name in DATABASE_URL.',
  },
  {
    code: 'DATABASE_REFUSED',
    when: ['42501'],
    advice: 'Grant it to the role that DATABASE_URL names; docs/operations.md lists what each role needs.',
  },
  {
    code: 'DATABASE_UNAVAILABLE',
    when: ['25006'],
    advice:
      'The server is read-only: a standby, or default_transaction_read_only. Name the primary in DATABASE_URL, or wait until this server accepts writes.',
  },
  {
    code: 'DATABASE_UNAVAILABLE',
    when: ['53300'],
    advice:
      'Raise max_connections of the server or the limit of the role or database, or lower the connections of the services (docs/configuration.md).',
  },
  {
    code: 'DATABASE_UNAVAILABLE',
    when: ['ENOTFOUND', 'EAI_AGAIN'],
    advice: 'The host name cannot be resolved: correct DATABASE_URL or the name service.',
  },
  {
    code: 'DATABASE_UNAVAILABLE',
    when: ['EMFILE', 'ENFILE'],
    advice: 'This process, or its machine, may open no more files: raise the limit (ulimit -n, LimitNOFILE).',
  },
  {
    code: 'DATABASE_UNAVAILABLE',
    when: ['ECONNREFUSED'],
    advice: 'Nothing answers at that address: start the server, or correct host and port in DATABASE_URL.',
  },
];

/**
 * @param error anything that the database threw, or the connection to it
 * @returns null when it is not known to be a matter of settings, rights or the server's state
 */
export function databaseProblem(error: unknown): SluiceError | null {
  if (error instanceof SluiceError) return null;
  const codes = codesOf(error);
  const message = messageOf(innermost(error));
  const rule = RULES.find(({ when }) =>
    when.some((one) =>
      typeof one === 'string'
        ? codes.some(
            (code) => code === one || (one.length === 2 && code.length === 5 && code.startsWith(one)),
          )
        : one.test(message) || codes.some((code) => one.test(code)),
    ),
  );
  if (rule !== undefined) {
    return new SluiceError(rule.code, `PostgreSQL: ${message}. ${rule.advice}`, {}, { cause: error });
  }
  if (classifyDatabaseError(error) !== 'wait') return null;
  return new SluiceError(
    'DATABASE_UNAVAILABLE',
    `PostgreSQL cannot be reached (${message}).`,
    {},
    { cause: error },
  );
}

/** The code by which anything that was thrown is known to those who look later. */
export function codeOf(error: unknown): ErrorCode {
  if (error instanceof SluiceError) return error.code;
  return databaseProblem(error)?.code ?? 'INTERNAL';
}

/** One address of a host that has several fails with all of their errors. */
function innermost(error: unknown): unknown {
  const inner = isNativeError(error) && 'errors' in error && Array.isArray(error.errors) ? error.errors : [];
  return inner.length > 0 ? (inner[0] as unknown) : error;
}

function codesOf(error: unknown): string[] {
  return [error, innermost(error)].flatMap((one) =>
    isNativeError(one) && 'code' in one && typeof one.code === 'string' ? [one.code] : [],
  );
}
