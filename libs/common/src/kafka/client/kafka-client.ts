import kafkajs, { type Kafka, type LogEntry, type Mechanism, type SASLOptions, logLevel } from 'kafkajs';
import type { Logger } from 'pino';
import type { KafkaSecurity } from '../../config/kafka-security.config.js';
import { tlsSockets } from './kafka-tls.js';
import { oauthMechanism } from './oauth-login.js';
import { installProduceEncoding } from './produce-request.js';
import { installRecordDecoding } from './record-decoding.js';
import { installRefusedGroups } from './refused-groups.js';
import { installWaitingRequests } from './waiting-requests.js';

export interface KafkaOptions extends KafkaSecurity {
  readonly brokers: readonly string[];
  /** Names this process in the brokers' logs. */
  readonly clientId: string;
  readonly logger: Logger;
}

/**
 * A kafkajs client that logs through pino. kafkajs logs ERROR for what it then retries by itself, so
 * its errors become warnings here: a final error arrives as a rejected promise or a CRASH event.
 */
export function createKafka({ brokers, clientId, logger, sasl, tls }: KafkaOptions): Kafka {
  installProduceEncoding();
  installRecordDecoding();
  installRefusedGroups();
  installWaitingRequests();
  return new kafkajs.Kafka({
    brokers: [...brokers],
    clientId,
    ...(sasl && { sasl: loginOf(sasl) }),
    ...(tls && { ssl: true, socketFactory: tlsSockets(tls) }),
    connectionTimeout: 5_000,
    requestTimeout: 30_000,
    retry: { initialRetryTime: 200, maxRetryTime: 5_000, retries: 8 },
    logCreator: () => (entry) => {
      logThrough(logger, entry);
    },
  });
}

function loginOf(sasl: NonNullable<KafkaSecurity['sasl']>): SASLOptions | Mechanism {
  if (sasl.mechanism === 'oauthbearer') return oauthMechanism(sasl);
  // A copy, because kafkajs keeps its own state in it; with its getters, by which each login takes the password of now.
  return Object.defineProperties({}, Object.getOwnPropertyDescriptors(sasl)) as SASLOptions;
}

/** Logged by several parts of kafkajs for each attempt; it is thrown as well, and the code that connects reports it once. */
const REFUSED_LOGIN = /SASL .+ authentication failed|^Response SaslAuthenticate|KAFKA_OAUTH_/;

function logThrough(logger: Logger, { level, namespace, log }: LogEntry): void {
  const text = `${namespace}: ${log.message}`;
  const facts = {
    broker: log['broker'] as unknown,
    error: log['error'] as unknown,
    groupId: log['groupId'] as unknown,
  };
  if (level <= logLevel.WARN && !REFUSED_LOGIN.test(log.message)) logger.warn(facts, text);
  else logger.debug(facts, text);
}
