import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { itemsOf } from '#common/config/checks.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { brokerErrorCode, brokerErrorText, classifyBrokerError } from '#common/kafka/client/kafka-errors.js';
import type { CliContext } from './context.js';

/**
 * The Kafka of the system that the environment names, else of the one that `sluice up` started here.
 * @param brokers as `KAFKA_BROKERS` lists them
 */
export async function kafkaAt(context: CliContext, brokers: string, clientId: string): Promise<Kafka> {
  const running = await context.local.state();
  const isOwnKafka = running?.startedKafka === true && brokers === running.kafkaBrokers;
  return createKafka({
    ...(isOwnKafka ? {} : context.settings().kafkaSecurity()),
    brokers: itemsOf(brokers),
    clientId,
    logger: pino({ level: 'silent' }), // what goes wrong for good is thrown and printed
  });
}

/** @throws SluiceError SYSTEM_UNREACHABLE when no brokers are known */
export async function knownBrokers(context: CliContext): Promise<string> {
  const brokers = context.settings().kafkaBrokers ?? (await context.local.state())?.kafkaBrokers;
  if (brokers !== undefined) return brokers;
  throw new SluiceError(
    'SYSTEM_UNREACHABLE',
    'KAFKA_BROKERS is not set, and Sluice is not running in this checkout.',
  );
}

/** Names Kafka when it did not answer, or did not let us; anything else that it threw is passed on. */
export async function reachingBrokers<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof Error) || !cause.name.startsWith('KafkaJS')) throw cause;
    const isRefusal = classifyBrokerError(cause) === 'setup';
    const message = isRefusal
      ? `Kafka refuses: ${brokerErrorText(cause)}.`
      : `Kafka cannot be reached (${messageOf(cause)}).`;
    throw new SluiceError(isRefusal ? brokerErrorCode(cause) : 'BROKER_UNAVAILABLE', message, {}, { cause });
  }
}
