import type { ErrorCodeFacts } from './error-code-facts.js';

/** Codes of who may use the HTTP ports, part of the closed list. */
export const ACCESS_ERROR_CODES = {
  UNAUTHENTICATED: {
    retryable: false,
    meaning: 'The service asks for a token, and the request has none that is valid.',
    action: 'Set SLUICE_TOKEN or SLUICE_TOKEN_FILE to a token that `sluice token create` has made.',
  },
  ROLE_MISSING: {
    retryable: false,
    meaning: 'The token is valid, and its role does not include what was asked for.',
    action: 'Use a token with the role that the message names; `sluice token create` makes one.',
  },
  ACCESS_ATTEMPTS: {
    retryable: true,
    meaning: 'Too many wrong tokens came from this address.',
    action: 'Correct the token, and wait for the seconds that the message names.',
  },
  REQUESTS_LIMITED: {
    retryable: true,
    meaning: 'The holder of this token sends more requests than a service takes from one.',
    action:
      'Wait for the seconds that the message names, and ask less often; or raise SLUICE_REQUESTS_PER_MINUTE.',
  },
  OIDC_UNAVAILABLE: {
    retryable: true,
    meaning: 'The OIDC provider does not answer, so its tokens cannot be checked.',
    action:
      'Wait until SLUICE_OIDC_ISSUER answers, or use a token of `sluice token create`; the log of the service says why it does not.',
  },
} as const satisfies Record<string, ErrorCodeFacts>;
