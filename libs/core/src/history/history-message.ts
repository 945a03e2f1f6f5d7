/** Messages of the topic `sluice.history`: what the database alone knows, by key. PURE. */
import { type IncomingMessage, HeaderReader, isUuid } from '../message/header-reader.js';
import type { SendableMessage } from '#common/kafka/message.js';
import { DEAD_LETTER_STATES, type DeadLetterState } from '#api/dead-letters.js';
import { HISTORY_TOPIC } from '../message/topics.js';

const VERSION = 1;

/** A row as PostgreSQL writes it in JSON: its columns are those of the build that wrote it. */
export type HistoryRow = Readonly<Record<string, unknown>>;

/** What was decided about a dead letter. */
export interface HistoryDecision {
  readonly job: string;
  readonly record: number;
  readonly state: DeadLetterState;
  readonly reason: string | null;
  readonly successorJob: string | null;
  readonly successorRecord: number | null;
}

export type HistoryEntry =
  | { readonly is: 'job'; readonly id: string; readonly row: HistoryRow }
  | { readonly is: 'action'; readonly id: string; readonly row: HistoryRow }
  | { readonly is: 'letters'; readonly decisions: readonly HistoryDecision[] };

/** @param value of the outbox */
export function encodeHistory(key: string, value: unknown): SendableMessage {
  return {
    topic: HISTORY_TOPIC,
    partition: 0,
    key,
    headers: { v: String(VERSION) },
    value: Buffer.from(JSON.stringify(value)),
  };
}

/** @throws SluiceError MESSAGE_INVALID */
export function decodeHistory(message: IncomingMessage): HistoryEntry {
  const read = new HeaderReader(message);
  read.version(VERSION);
  const value = read.parsed('value', read.value().toString());
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw read.invalid('its value is not an object');
  const [, is, id] = /^(job|action|letters):(.+)$/.exec(message.key?.toString() ?? '') ?? [];
  if (!isUuid(id)) throw read.invalid('its key is none of a history');
  const row = value as HistoryRow;
  if (is === 'letters') {
    const { letters } = row as { readonly letters?: unknown };
    if (!Array.isArray(letters) || !letters.every(isDecision))
      throw read.invalid('its value is not a list of decisions');
    return { is, decisions: letters };
  }
  if (row['id'] !== id) throw read.invalid('its value is not that of its key');
  return { is: is === 'job' ? 'job' : 'action', id, row };
}

function isDecision(value: unknown): value is HistoryDecision {
  if (typeof value !== 'object' || value === null) return false;
  const { job, record, state, reason, successorJob, successorRecord } = value as Record<string, unknown>;
  return (
    isUuid(job) &&
    Number.isSafeInteger(record) &&
    (DEAD_LETTER_STATES as readonly unknown[]).includes(state) &&
    (reason === null || typeof reason === 'string') &&
    (successorJob === null || isUuid(successorJob)) &&
    (successorRecord === null || Number.isSafeInteger(successorRecord))
  );
}
