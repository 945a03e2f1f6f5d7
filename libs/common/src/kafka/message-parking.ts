import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import { SluiceError } from '../errors/sluice-error.js';
import type { IncomingMessage, MessagePlace } from './message.js';

/** A message that was passed over, and why. */
export interface ParkedMessage extends MessagePlace {
  /** One line without control characters, and nothing of the message's value. */
  readonly reason: string;
  /** ISO 8601. */
  readonly at: string;
}

/** Keeps parked messages known; its promise is kept once that is durable. */
export type TellParked = (parked: readonly ParkedMessage[]) => Promise<void>;

/** As long as a status event's label may be. */
const MAX_REASON_CHARACTERS = 200;

/**
 * Decodes messages and parks those that nobody can read, however often they come again: they stay in their
 * topic, and none may hold up the ones behind it.
 *
 * - P1: a parked message is told before decoding ends, so a handler that awaits it commits no offset beyond
 *   a message nobody knows about (G4). When telling fails, that error is thrown and the delivery comes again.
 * - P2: it is counted and logged, as an error with its place, once it has been told: waiting for whoever has to
 *   be told does not count it over and over.
 * - P3: only MESSAGE_INVALID parks; any other error is our own and is thrown on.
 */
export class MessageParking {
  private readonly parked: Counter<'topic'>;

  constructor(
    registry: Registry,
    private readonly logger: Logger,
    private readonly tell: TellParked,
  ) {
    this.parked = new Counter({
      name: 'sluice_parked_messages_total',
      help: 'Messages passed over because they are none of ours; alarm on any',
      labelNames: ['topic'],
      registers: [registry],
    });
  }

  /** @returns null when the message is parked (P1); whatever else `decode` or telling throws is thrown on (P3) */
  async decode<T>(message: IncomingMessage, decode: (message: IncomingMessage) => T): Promise<T | null> {
    const [decoded] = await this.decodeAll([message], decode);
    return decoded ?? null;
  }

  /** Those that are not parked, in their order. */
  async decodeAll<T>(
    messages: readonly IncomingMessage[],
    decode: (message: IncomingMessage) => T,
  ): Promise<T[]> {
    const decoded: T[] = [];
    const parked: ParkedMessage[] = [];
    for (const message of messages) {
      try {
        decoded.push(decode(message));
      } catch (error) {
        if (!(error instanceof SluiceError) || error.code !== 'MESSAGE_INVALID') throw error;
        parked.push({
          ...message.place,
          reason: reasonOf(message.place, error),
          at: new Date().toISOString(),
        });
      }
    }
    if (parked.length > 0) await this.park(parked);
    return decoded;
  }

  private async park(parked: readonly ParkedMessage[]): Promise<void> {
    await this.tell(parked);
    for (const { topic, partition, offset, reason } of parked) {
      this.logger.error({ topic, partition, offset, code: 'MESSAGE_INVALID' }, `passed over: ${reason}`);
      this.parked.inc({ topic });
    }
  }
}

/** The error's words without the place, which stands beside them; they may repeat a foreign producer's header. */
function reasonOf({ topic, partition, offset }: MessagePlace, { message }: SluiceError): string {
  return message
    .replace(`Message ${topic}/${partition}/${offset}: `, '')
    .slice(0, MAX_REASON_CHARACTERS)
    .replace(/\p{C}/gu, '\u{FFFD}');
}
