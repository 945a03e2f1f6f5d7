import { SluiceError } from '../errors/sluice-error.js';
import { classifyDatabaseError, sqlstateOf } from '../postgres/sqlstate.js';
import { classifyBrokerError } from './kafka-errors.js';

/**
 * Codes of faults that are neither a wait nor anybody else's: the message, or our own code when it meets the message.
 * Brokers, permissions, missing topics and a database that refuses a whole table are not among them (G10): however long
 * they last, they say nothing about a message, and parking would lose one after the other.
 */
const MESSAGE_FAULTS: ReadonlySet<string> = new Set([
  'MESSAGE_INVALID',
  'CONTRACT_MISMATCH',
  'DATASET_INVALID',
  'DATASET_UNKNOWN',
  'DATASET_CODE_FAILED',
  'INTERNAL',
]);

/** Whether a delivery that fails like this may fail because of a single message in it, for as long as it is tried. */
export function isMessageFault(error: unknown): boolean {
  if (error instanceof SluiceError) {
    if (MESSAGE_FAULTS.has(error.code)) return true;
    // Above our own limit, which is known without asking. What brokers refuse is above the topic's: a setting.
    if (error.code === 'MESSAGE_TOO_LARGE') return error.cause === undefined;
    return error.code === 'DATABASE_FAULT' && isValueFault(error.cause);
  }
  if (sqlstateOf(error) !== null) return isValueFault(error);
  return classifyDatabaseError(error) === 'unknown' && !isKafkas(error);
}

/** Code and words for logs and the list of parked messages, with nothing of the message's contents. */
export function faultReason(error: unknown): string {
  if (error instanceof SluiceError) return `${error.code}: ${error.message}`;
  const sqlstate = sqlstateOf(error);
  if (sqlstate !== null) return `DATABASE_FAULT: PostgreSQL refused it (SQLSTATE ${sqlstate})`;
  // Words of foreign errors may quote what they were given: JSON.parse does.
  return `INTERNAL: ${error instanceof Error ? error.name : 'an unknown error'} in the code that handles it`;
}

/** PostgreSQL refuses a value: class 22, 54, or one of the codes that are a record's own fault. */
function isValueFault(error: unknown): boolean {
  const sqlstate = sqlstateOf(error) ?? '';
  return /^(22|54)/.test(sqlstate) || classifyDatabaseError(error) === 'record';
}

/** An error of the brokers' or of the connection to them. */
export function isKafkas(error: unknown): boolean {
  return classifyBrokerError(error) !== 'unknown' || (error instanceof Error && /^Kafka/.test(error.name));
}

/** A delivery that has failed so often by a message's fault is handed over message by message. */
export const MAX_FAULTS = 3;

/** How often the same delivery of a partition has failed by a message's fault. */
export class FaultCounts {
  private readonly counts = new Map<string, { readonly offset: string; count: number }>();

  /** @param offset of the delivery's first message: another one is another delivery */
  failed(source: string, offset: string, error: unknown): void {
    if (!isMessageFault(error)) return;
    const known = this.counts.get(source);
    if (known?.offset === offset) known.count += 1;
    else this.counts.set(source, { offset, count: 1 });
  }

  isExhausted(source: string, offset: string): boolean {
    const known = this.counts.get(source);
    return known?.offset === offset && known.count >= MAX_FAULTS;
  }

  forget(source: string): void {
    this.counts.delete(source);
  }
}
