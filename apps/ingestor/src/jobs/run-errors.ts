/** What an error that ends a run says about the job. */
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { classifyBrokerError } from '#common/kafka/client/kafka-errors.js';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';

/** Codes whose messages may quote a source's header. */
export const QUOTES_SOURCE: readonly string[] = ['SOURCE_REFUSED', 'SOURCE_CHANGED'];

/** Trouble of the brokers' or the database's says nothing about the job (G10), which is retried afterwards. */
export function isTransient(error: unknown): boolean {
  if (error instanceof SluiceError) {
    return error.code === 'BROKER_UNAVAILABLE' || error.code === 'DATABASE_UNAVAILABLE';
  }
  const kind = classifyDatabaseError(error);
  const isDatabaseTrouble =
    kind === 'wait' || kind === 'retry' || (kind === 'unknown' && sqlstateOf(error) !== null);
  return isDatabaseTrouble || classifyBrokerError(error) === 'wait';
}

export function unexpected(error: unknown): SluiceError {
  return new SluiceError('INTERNAL', `The ingestor failed: ${messageOf(error)}`, {}, { cause: error });
}

/** Another process holds the job now, or the job has ended: nothing is left to write. */
export function isLost(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'JOB_LOST';
}
