import { SluiceError } from '#common/errors/sluice-error.js';
import type { Delivery } from '#common/kafka/batch-handler.decorator.js';
import type { IncomingMessage, MessagePlace } from '#common/kafka/message.js';

/** A message that nobody can read, however often it comes again. */
export interface PoisonMessage {
  readonly place: MessagePlace;
  readonly problem: string;
}

/**
 * Decodes what can be decoded. The tracker is a read model: an unreadable message is reported and passed
 * over, it must not keep the ones behind it from being seen. PURE.
 */
export function readDelivery<T>(
  delivery: Pick<Delivery, 'messages'>,
  decode: (message: IncomingMessage) => T,
): { readable: T[]; poison: PoisonMessage[] } {
  const readable: T[] = [];
  const poison: PoisonMessage[] = [];
  for (const message of delivery.messages) {
    try {
      readable.push(decode(message));
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code !== 'MESSAGE_INVALID') throw error;
      poison.push({ place: message.place, problem: error.message });
    }
  }
  return { readable, poison };
}
