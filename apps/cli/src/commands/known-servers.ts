import { SluiceError } from '#common/errors/sluice-error.js';
import type { CliContext } from './context.js';

/** Database and brokers, for the commands that work on them and not through a service. */
export interface KnownServers {
  readonly databaseUrl: string;
  /** As `KAFKA_BROKERS` lists them. */
  readonly brokers: string;
  /** The brokers are those that `sluice up` started here, which know no login. */
  readonly isOwnKafka: boolean;
}

/**
 * Those that the environment names, else those that `sluice up` started here.
 * @throws SluiceError SYSTEM_UNREACHABLE when one of them is not known
 */
export async function knownServers(context: CliContext): Promise<KnownServers> {
  const settings = context.settings();
  const running = await context.local.state();
  const databaseUrl = settings.databaseUrl ?? running?.databaseUrl;
  const brokers = settings.kafkaBrokers ?? running?.kafkaBrokers;
  if (databaseUrl === undefined || brokers === undefined) {
    const missing = databaseUrl === undefined ? 'DATABASE_URL' : 'KAFKA_BROKERS';
    throw new SluiceError(
      'SYSTEM_UNREACHABLE',
      `${missing} is not set, and Sluice is not running in this checkout.`,
    );
  }
  const isOwnKafka = running?.startedKafka === true && brokers === running.kafkaBrokers;
  return { databaseUrl, brokers, isOwnKafka };
}
