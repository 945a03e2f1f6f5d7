import type { ErrorCodeFacts } from './error-code-facts.js';

/**
 * Codes of sources, part of the closed list. Not retryable, because a source has spent its own retries before one of these
 * is thrown.
 */
export const SOURCE_ERROR_CODES = {
  SOURCE_NOT_FOUND: {
    retryable: false,
    meaning: 'There is nothing at the address or path of the source.',
    action: 'Correct the address or path; then start the job again.',
  },
  SOURCE_FORBIDDEN: {
    retryable: false,
    meaning: 'The source exists but may not be read: the server or the file system refuses.',
    action: 'Check credentials, file permissions and, if the server checks it, SLUICE_SOURCE_USER_AGENT.',
  },
  SOURCE_UNREACHABLE: {
    retryable: false,
    meaning: 'Sluice could not connect to the source: its name is unknown, or nothing answers there.',
    action: 'Check the address and the network; then start the job again.',
  },
  SOURCE_UNTRUSTED: {
    retryable: false,
    meaning: 'The certificate of the source cannot be verified.',
    action: 'Check the address; set NODE_EXTRA_CA_CERTS for a private certificate authority.',
  },
  SOURCE_STALLED: {
    retryable: false,
    meaning:
      'The source sent nothing for longer than SLUICE_SOURCE_IDLE_TIMEOUT_MS, and all retries are used up.',
    action: 'Start the job again once the server has recovered, or raise the limit.',
  },
  SOURCE_TRUNCATED: {
    retryable: false,
    meaning:
      'The source ended early: the connection was cut until all retries were used up, or the file is incomplete.',
    action: 'Check that the file is complete at its origin; then start the job again.',
  },
  SOURCE_CORRUPT: {
    retryable: false,
    meaning: 'A compressed source contradicts itself: broken data, a wrong checksum or a wrong size.',
    action: 'Get the file again from its origin.',
  },
  SOURCE_CHANGED: {
    retryable: false,
    meaning: 'The source changed while it was being read.',
    action: 'Start the job again when no program writes to the source.',
  },
  SOURCE_EXPIRED: {
    retryable: false,
    meaning: 'Messages that a job has to read are deleted from their topic.',
    action:
      'Start a job over the messages that are left, and raise retention.ms of the topic. What a job had published before is kept: see `sluice job <id>`.',
  },
  SOURCE_NOT_ALLOWED: {
    retryable: false,
    meaning: 'The settings do not allow reading from this address or folder.',
    action:
      'Choose another source; start the job with the token (the CLI on the same machine sends it); or see SLUICE_SOURCE_FOLDERS, SLUICE_S3_BUCKETS, SLUICE_SOURCE_PRIVATE_ADDRESSES and SLUICE_SOURCE_REDIRECTS_TO_PRIVATE.',
  },
  SOURCE_UNSUPPORTED: {
    retryable: false,
    meaning: 'The source is of an unsupported kind: scheme, folder, device, or compression.',
    action: 'Give a plain file, a gzip, or a zip with exactly one member, by http, https or absolute path.',
  },
  SOURCE_TOO_LARGE: {
    retryable: false,
    meaning: 'The source is larger than allowed, or expands to a suspicious size.',
    action: 'If the source is genuine, raise SLUICE_SOURCE_MAX_BYTES or SLUICE_SOURCE_MAX_RATIO.',
  },
  SOURCE_EMPTY: {
    retryable: false,
    meaning: 'The source holds no bytes at all.',
    action: 'Check what the source should contain.',
  },
  SOURCE_SERVER_ERROR: {
    retryable: false,
    meaning: 'The server answered with an error, or in a way that cannot be followed.',
    action: 'Look at the status in the message; start the job again once the server has recovered.',
  },
} as const satisfies Record<string, ErrorCodeFacts>;
