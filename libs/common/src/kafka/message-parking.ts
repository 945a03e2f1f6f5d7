import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import { SluiceError } from '../errors/sluice-error.js';
import type { IncomingMessage } from './message.js';

/**
 * Decodes messages and parks those that nobody can read, however often they come again: they stay in their
 * topic, are logged as an error with their place, and counted. None may hold up the ones behind it.
 */
export class MessageParking {
  private readonly parked: Counter<'topic'>;

  constructor(
    registry: Registry,
    private readonly logger: Logger,
  ) {
    this.parked = new Counter({
      name: 'sluice_parked_messages_total',
      help: 'Messages passed over because they are none of ours; alarm on any',
      labelNames: ['topic'],
      registers: [registry],
    });
  }

  /** @returns null when the message is parked; whatever else `decode` throws is thrown on */
  decode<T>(message: IncomingMessage, decode: (message: IncomingMessage) => T): T | null {
    try {
      return decode(message);
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code !== 'MESSAGE_INVALID') throw error;
      this.logger.error({ ...message.place, code: error.code }, `passed over: ${error.message}`);
      this.parked.inc({ topic: message.place.topic });
      return null;
    }
  }

  decodeAll<T>(messages: readonly IncomingMessage[], decode: (message: IncomingMessage) => T): T[] {
    return messages.map((message) => this.decode(message, decode)).filter((decoded) => decoded !== null);
  }
}
