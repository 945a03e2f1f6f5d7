import { isNativeError } from 'node:util/types';
import type { ErrorCode } from '../../errors/error-codes.js';
import { SluiceError, messageOf } from '../../errors/sluice-error.js';

/**
 * What an error of Kafka's means: one table (docs/failure.md, Kafka), closed on the side of caution.
 * - `wait`: the brokers' state; pause and back off, for as long as it takes.
 * - `setup`: topics, permissions or settings are wrong; waits too, and logs an error.
 * - `message`: the message's own fault.
 * - `unknown`: waits and logs an error.
 */
export type BrokerFaultKind = 'wait' | 'setup' | 'message' | 'unknown';

interface KafkaErrorFacts {
  readonly kind: Exclude<BrokerFaultKind, 'unknown'>;
  /** What it means in a few words, for docs/errors.md. */
  readonly meaning: string;
}

/**
 * By the protocol's name of the error, by the class that kafkajs gives its own, or by the type of ours (oauth-login.ts).
 * docs/errors.md lists exactly these.
 */
export const KAFKA_ERRORS: ReadonlyMap<string, KafkaErrorFacts> = new Map([
  ['LEADER_NOT_AVAILABLE', { kind: 'wait', meaning: 'a leader is being elected' }],
  ['NOT_LEADER_FOR_PARTITION', { kind: 'wait', meaning: 'the leader has moved' }],
  ['FENCED_LEADER_EPOCH', { kind: 'wait', meaning: 'the leader has moved' }],
  ['REPLICA_NOT_AVAILABLE', { kind: 'wait', meaning: 'a replica is down' }],
  ['BROKER_NOT_AVAILABLE', { kind: 'wait', meaning: 'a broker is down' }],
  ['REQUEST_TIMED_OUT', { kind: 'wait', meaning: 'the broker did not finish in time' }],
  ['NETWORK_EXCEPTION', { kind: 'wait', meaning: 'the connection broke' }],
  ['NOT_ENOUGH_REPLICAS', { kind: 'wait', meaning: 'fewer replicas in sync than min.insync.replicas' }],
  ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', { kind: 'wait', meaning: 'written, but to too few replicas' }],
  ['KAFKA_STORAGE_ERROR', { kind: 'wait', meaning: 'the broker cannot write to its disk' }],
  [
    'CORRUPT_MESSAGE',
    { kind: 'wait', meaning: 'a request was damaged in transit, or the broker’s own disk is damaged' },
  ],
  ['NOT_CONTROLLER', { kind: 'wait', meaning: 'the controller has moved' }],
  ['GROUP_LOAD_IN_PROGRESS', { kind: 'wait', meaning: 'the coordinator is loading the group' }],
  ['GROUP_COORDINATOR_NOT_AVAILABLE', { kind: 'wait', meaning: 'the coordinator is not available' }],
  ['NOT_COORDINATOR_FOR_GROUP', { kind: 'wait', meaning: 'the coordinator has moved' }],
  ['REBALANCE_IN_PROGRESS', { kind: 'wait', meaning: 'the group is reassigning its partitions' }],
  ['ILLEGAL_GENERATION', { kind: 'wait', meaning: 'the partitions were reassigned' }],
  ['UNKNOWN_MEMBER_ID', { kind: 'wait', meaning: 'the consumer was silent for its session time-out' }],
  ['CONCURRENT_TRANSACTIONS', { kind: 'wait', meaning: 'the transaction before it is still being ended' }],
  ['INVALID_PRODUCER_EPOCH', { kind: 'wait', meaning: 'another sender has taken over the transactional id' }],
  ['PRODUCER_FENCED', { kind: 'wait', meaning: 'another sender has taken over the transactional id' }],
  ['TRANSACTION_COORDINATOR_FENCED', { kind: 'wait', meaning: 'the coordinator has moved' }],
  ['KafkaJSConnectionError', { kind: 'wait', meaning: 'no connection' }],
  ['KafkaJSConnectionClosedError', { kind: 'wait', meaning: 'the connection was closed' }],
  ['KafkaJSRequestTimeoutError', { kind: 'wait', meaning: 'no response' }],
  ['KafkaJSBrokerNotFound', { kind: 'wait', meaning: 'the requested broker is not known yet' }],
  ['KafkaJSNoBrokerAvailableError', { kind: 'wait', meaning: 'no broker is known that can be read from' }],
  ['KafkaJSGroupCoordinatorNotFound', { kind: 'wait', meaning: 'the coordinator is not known yet' }],
  ['KafkaJSMetadataNotLoaded', { kind: 'wait', meaning: 'topics are not known yet' }],
  ['KafkaJSTopicMetadataNotLoaded', { kind: 'wait', meaning: 'the topic is not known yet' }],
  ['KafkaJSStaleTopicMetadataAssignment', { kind: 'wait', meaning: 'the topic has changed in the meantime' }],
  ['KafkaJSLockTimeout', { kind: 'wait', meaning: 'too many requests wait for one connection' }],
  ['UNKNOWN_TOPIC_OR_PARTITION', { kind: 'setup', meaning: 'the topic does not exist' }],
  ['TOPIC_AUTHORIZATION_FAILED', { kind: 'setup', meaning: 'no permission for the topic' }],
  ['GROUP_AUTHORIZATION_FAILED', { kind: 'setup', meaning: 'no permission for the group' }],
  [
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    { kind: 'setup', meaning: 'no permission for the transactional id' },
  ],
  [
    'INVALID_TRANSACTION_TIMEOUT',
    { kind: 'setup', meaning: 'transaction.max.timeout.ms is below ten minutes' },
  ],
  ['CLUSTER_AUTHORIZATION_FAILED', { kind: 'setup', meaning: 'no permission for the cluster' }],
  ['UNSUPPORTED_SASL_MECHANISM', { kind: 'setup', meaning: 'the brokers do not offer this login mechanism' }],
  ['ILLEGAL_SASL_STATE', { kind: 'setup', meaning: 'the listener does not accept a login' }],
  ['SASL_AUTHENTICATION_FAILED', { kind: 'setup', meaning: 'wrong credentials' }],
  ['KafkaJSSASLAuthenticationError', { kind: 'setup', meaning: 'wrong credentials' }],
  [
    'OAUTH_PROVIDER_UNAVAILABLE',
    {
      kind: 'wait',
      meaning: 'the provider at KAFKA_OAUTH_TOKEN_ENDPOINT is away, and there is no valid token',
    },
  ],
  ['OAUTH_CLIENT_REFUSED', { kind: 'setup', meaning: 'the provider gives this client no token' }],
  ['OAUTH_TOKEN_REFUSED', { kind: 'setup', meaning: 'the brokers do not accept the token' }],
  ['UNSUPPORTED_VERSION', { kind: 'setup', meaning: 'the brokers are too old or too new' }],
  ['KafkaJSServerDoesNotSupportApiKey', { kind: 'setup', meaning: 'the brokers are too old or too new' }],
  ['POLICY_VIOLATION', { kind: 'setup', meaning: 'a policy of the brokers forbids it' }],
  ['INVALID_SESSION_TIMEOUT', { kind: 'setup', meaning: 'outside what the brokers allow' }],
  ['MESSAGE_TOO_LARGE', { kind: 'message', meaning: 'larger than max.message.bytes' }],
  ['RECORD_LIST_TOO_LARGE', { kind: 'message', meaning: 'larger than a log segment' }],
]);

/** What is wrong with a certificate or with TLS itself, by Node's codes, and the setting to look at. */
const TLS_FAULTS: readonly { readonly codes: RegExp; readonly text: string }[] = [
  {
    codes: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    text: "the broker's certificate is for other host names than KAFKA_BROKERS or the broker's advertised.listeners have",
  },
  {
    codes: /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/,
    text: "the certificate of the broker, or of its authority in KAFKA_TLS_CA, has expired or is not valid yet: renew it, or correct this machine's clock",
  },
  {
    codes: /^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_|CERT_)/,
    text: "the broker's certificate comes from no authority in KAFKA_TLS_CA",
  },
  {
    codes: /^ERR_SSL_.*(ALERT|UNKNOWN_CA)/,
    text: 'the broker does not accept KAFKA_TLS_CERTIFICATE, or asks for one and none is set',
  },
  {
    codes: /^(ERR_SSL_|EPROTO$)/,
    text: 'the listener in KAFKA_BROKERS does not speak TLS as KAFKA_TLS asks for: name one that does',
  },
];

/** The words for a fault of TLS beneath the error, or null. */
function tlsFault(error: unknown): string | null {
  if (!isNativeError(error)) return null;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const fault = TLS_FAULTS.find(({ codes }) => codes.test(code));
  return fault?.text ?? (error.cause === undefined ? null : tlsFault(error.cause));
}

/** What kafkajs wraps around the error that it gave up with. */
const WRAPPERS = new Set(['KafkaJSNumberOfRetriesExceeded', 'KafkaJSNonRetriableError', 'KafkaJSError']);

/** The name under which the table would list the error; of a wrapper, that of the wrapped error. */
export function kafkaErrorName(error: unknown): string | null {
  if (!isNativeError(error)) return null;
  if ('type' in error && typeof error.type === 'string') return error.type;
  if (KAFKA_ERRORS.has(error.name) || !WRAPPERS.has(error.name)) return error.name;
  return error.cause === undefined ? error.name : kafkaErrorName(error.cause);
}

/** What a request needs of a topic or group, by Kafka's name of the operation. */
export type AclOperation = 'READ' | 'WRITE' | 'DESCRIBE' | 'DESCRIBE_CONFIGS';

/** What a request asked for, of each kind of thing that ACLs are about. */
export interface AskedFor {
  readonly operation?: AclOperation;
  readonly topic?: string;
  readonly group?: string;
  readonly transactionalId?: string;
}

/**
 * The error's words, and for a refusal what is missing: Kafka says neither which operation nor on what, and of a login
 * not which settings are wrong.
 */
export function brokerErrorText(error: unknown, asked: AskedFor = {}): string {
  const text = messageOf(error);
  // It already has a message of Sluice's.
  if (error instanceof SluiceError) return text;
  const name = kafkaErrorName(error) ?? '';
  const resource = AUTHORIZED_RESOURCES.get(name);
  if (resource !== undefined) {
    const named = resource === 'cluster' ? undefined : asked[resource];
    const kind = resource === 'transactionalId' ? 'transactional id' : resource;
    return `the brokers' ACLs do not allow ${asked.operation ?? 'the request'} on ${named === undefined ? `the ${kind}` : `${kind} ${named}`} to this service's principal (${text})`;
  }
  const login = LOGIN_FAULTS.get(name);
  if (login !== undefined) return `${login} (${text})`;
  const tls = tlsFault(error);
  if (tls !== null) return `${tls} (${text})`;
  // A broker that is being stopped cuts a handshake as well, so this stays a matter of waiting.
  if (CUT_HANDSHAKE.test(text))
    return `${text}. A listener without TLS cuts the handshake like this: name one with TLS in KAFKA_BROKERS, or set KAFKA_TLS to off`;
  return CLOSED_CONNECTION.test(text)
    ? `${text}. A listener that requires a login or TLS closes plain connections like this: set KAFKA_SASL_MECHANISM or KAFKA_TLS, or name a PLAINTEXT listener in KAFKA_BROKERS`
    : text;
}

const WRONG_LOGIN = 'the brokers do not accept KAFKA_USERNAME with KAFKA_PASSWORD';
const LOGIN_FAULTS: ReadonlyMap<string, string> = new Map([
  ['SASL_AUTHENTICATION_FAILED', WRONG_LOGIN],
  ['KafkaJSSASLAuthenticationError', WRONG_LOGIN],
  ['UNSUPPORTED_SASL_MECHANISM', 'the brokers do not offer this KAFKA_SASL_MECHANISM'],
  ['ILLEGAL_SASL_STATE', 'the listener in KAFKA_BROKERS takes no login, and KAFKA_SASL_MECHANISM is set'],
]);

/** Whether the login, or a certificate, was refused or could not be made: trying again soon helps little, and may lock a name out. */
export function isLoginFault(error: unknown): boolean {
  if (error instanceof SluiceError) return isLoginFault(error.cause);
  const name = kafkaErrorName(error) ?? '';
  return LOGIN_FAULTS.has(name) || name.startsWith('OAUTH_') || tlsFault(error) !== null;
}

const AUTHORIZED_RESOURCES: ReadonlyMap<string, 'topic' | 'group' | 'transactionalId' | 'cluster'> = new Map([
  ['TOPIC_AUTHORIZATION_FAILED', 'topic'],
  ['GROUP_AUTHORIZATION_FAILED', 'group'],
  ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'transactionalId'],
  ['CLUSTER_AUTHORIZATION_FAILED', 'cluster'],
] as const);

const CUT_HANDSHAKE = /before secure TLS connection was established/;
const CLOSED_CONNECTION = /closed connection/i;

export function classifyBrokerError(error: unknown): BrokerFaultKind {
  if (tlsFault(error) !== null) return 'setup';
  return KAFKA_ERRORS.get(kafkaErrorName(error) ?? '')?.kind ?? 'unknown';
}

/** The code under which a failed request to the brokers is reported. */
export function brokerErrorCode(error: unknown): ErrorCode {
  if (error instanceof SluiceError) return error.code;
  if (kafkaErrorName(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return 'TOPIC_MISSING';
  const codes = {
    wait: 'BROKER_UNAVAILABLE',
    setup: 'BROKER_FAULT',
    message: 'MESSAGE_TOO_LARGE',
    unknown: 'BROKER_FAULT',
  } as const satisfies Record<BrokerFaultKind, ErrorCode>;
  return codes[classifyBrokerError(error)];
}
