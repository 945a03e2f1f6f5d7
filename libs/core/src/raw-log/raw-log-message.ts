/** What a message of a raw topic is, as far as it has to be known. PURE. */
import { SluiceError } from '#common/errors/sluice-error.js';
import type { IncomingMessage, MessagePlace } from '#common/kafka/message.js';
import { HeaderReader } from '../message/header-reader.js';
import { type MessageSeal, checkedSeal } from '../message/message-seal.js';
import { type RawMessage, decodeRawMessage } from '../message/raw-message.js';

/** Of which job and batch a raw message is, by its headers alone: its value has not been looked at. */
export interface RawLabel {
  readonly job: string;
  readonly batch: number;
  /** Of the ingestor's claim. */
  readonly epoch: number;
  readonly records: number;
}

/** Null for a message that is no raw batch. */
export function labelOf(message: IncomingMessage): RawLabel | null {
  try {
    const read = new HeaderReader(message);
    return {
      job: read.jobId(),
      batch: read.count('batch'),
      epoch: read.count('epoch'),
      records: read.count('records'),
    };
  } catch (error) {
    if (isInvalid(error)) return null;
    throw error;
  }
}

/**
 * The raw batch that a message holds.
 * @param seal null: this process has no SLUICE_MESSAGE_KEY
 * @throws SluiceError MESSAGE_INVALID: it is none, its value or its seal is wrong, or its seal cannot be checked
 */
export function openRaw(message: IncomingMessage, seal: MessageSeal | null): OpenedRaw {
  const raw = decodeRawMessage(message);
  return { ...raw, place: message.place, isSealed: checkedSeal(seal, message) };
}

export interface OpenedRaw extends RawMessage {
  readonly place: MessagePlace;
  /** It is proved to be of a service of this deployment; of a job that is not signed no message is. */
  readonly isSealed: boolean;
}

/** As {@link openRaw}; null instead of MESSAGE_INVALID. */
export function openedRaw(message: IncomingMessage, seal: MessageSeal | null): OpenedRaw | null {
  try {
    return openRaw(message, seal);
  } catch (error) {
    if (isInvalid(error)) return null;
    throw error;
  }
}

function isInvalid(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'MESSAGE_INVALID';
}
