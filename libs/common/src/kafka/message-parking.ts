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
 * Decodes messages and parks those that cannot be read, however often they come again: they stay in their
 * topic, and none may hold up the ones behind it. The transport parks here too what it cannot decode, and what
 * fails alone (message-fault.ts).
 *
 * - P1: a parked message is told before decoding ends, so a handler that awaits it commits no offset beyond
 *   a message that has been noted nowhere (G4). When telling fails, that error is thrown and the delivery comes again.
 * - P2: it is told, counted and logged, as an error with its place, once: neither waiting for the listener
 *   nor a delivery that comes again for another reason does it over and over.
 * - P3: only MESSAGE_INVALID parks while decoding; any other error is our own and is thrown on.
 */
export class MessageParking {
  private readonly parked: Counter<'topic'>;
  /** P2: offsets told, by partition, until the transport has committed them. */
  private readonly told = new Map<string, Set<string>>();

  constructor(
    registry: Registry,
    private readonly logger: Logger,
    private readonly tell: TellParked,
  ) {
    this.parked = new Counter({
      name: 'sluice_parked_messages_total',
      help: 'Messages passed over because they cannot be read, decoded or handled; alarm on any',
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
    const parked: MessageToPark[] = [];
    for (const message of messages) {
      try {
        decoded.push(decode(message));
      } catch (error) {
        if (!(error instanceof SluiceError) || error.code !== 'MESSAGE_INVALID') throw error;
        parked.push({ place: message.place, reason: error.message });
      }
    }
    await this.park(parked);
    return decoded;
  }

  /** Its promise is kept when all of them have been told (P1); those told before are left out (P2). */
  async park(messages: readonly MessageToPark[]): Promise<void> {
    const at = new Date().toISOString();
    const parked = messages
      .filter(({ place }) => this.told.get(partitionOf(place))?.has(place.offset) !== true)
      .map(({ place, reason }) => ({ ...place, reason: plainReason(place, reason), at }));
    if (parked.length === 0) return;
    await this.tell(parked);
    for (const place of parked) {
      const { topic, partition, offset, reason } = place;
      this.logger.error({ topic, partition, offset, code: 'MESSAGE_INVALID' }, `passed over: ${reason}`);
      this.parked.inc({ topic });
      const told = this.told.get(partitionOf(place)) ?? new Set();
      this.told.set(partitionOf(place), told.add(offset));
    }
  }

  /** The message at this place and all before it are done: none of them comes again. */
  committed(place: MessagePlace): void {
    const told = this.told.get(partitionOf(place));
    if (told === undefined) return;
    for (const offset of told) if (BigInt(offset) <= BigInt(place.offset)) told.delete(offset);
    if (told.size === 0) this.told.delete(partitionOf(place));
  }

  /** Partitions were shared out again: the consumer that has one now begins behind what is committed. */
  sharedOut(): void {
    this.told.clear();
  }
}

/** A message to be passed over. */
export interface MessageToPark {
  readonly place: MessagePlace;
  /** Nothing of the message's value. */
  readonly reason: string;
}

function partitionOf({ topic, partition }: MessagePlace): string {
  return `${topic}/${partition}`;
}

/** Without the place, which stands beside it; the words may repeat a foreign producer's header. */
function plainReason({ topic, partition, offset }: MessagePlace, reason: string): string {
  return reason
    .replace(`Message ${topic}/${partition}/${offset}: `, '')
    .slice(0, MAX_REASON_CHARACTERS)
    .replace(/\p{C}/gu, '\u{FFFD}');
}
