import type { Logger } from 'pino';
import { type Counter, type Registry } from 'prom-client';
import { counter } from '../../telemetry/metrics.js';
import { SluiceError } from '../../errors/sluice-error.js';
import type { IncomingMessage, MessagePlace } from '../message.js';

/** A message that was skipped, and why. */
export interface ParkedMessage extends MessagePlace {
  /** One line without control characters, and nothing of the message's value. */
  readonly reason: string;
  /** ISO 8601. */
  readonly at: string;
}

/** Reports parked messages; its promise resolves once that is durable. */
export type ReportParked = (parked: readonly ParkedMessage[]) => Promise<void>;

/** As long as a status event's label may be. */
const MAX_REASON_CHARACTERS = 200;

/**
 * Decodes messages and parks those that cannot be read, however often they come again: they stay in their
 * topic, and none may block the ones after it. The transport also parks here what it cannot decode, and what
 * fails alone (fetched-messages.ts).
 *
 * - PK1: a parked message is reported before decoding ends, so a handler that awaits it commits no offset beyond
 *   a message that is recorded nowhere (G4). When reporting fails, that error is thrown and the delivery comes again.
 * - PK2: it is reported, counted and logged, as an error with its place, once: neither waiting for the listener
 *   nor a delivery that comes again for another reason repeats it.
 * - PK3: only MESSAGE_INVALID parks while decoding; any other error is our own and is rethrown.
 */
export class MessageParking {
  private readonly parked: Counter<'topic'>;
  /** PK2: offsets reported, by partition, until the transport has committed them. */
  private readonly reported = new Map<string, Set<string>>();

  constructor(
    registry: Registry,
    private readonly logger: Logger,
    private readonly report: ReportParked,
  ) {
    this.parked = counter(registry, 'sluice_parked_messages_total');
  }

  /** @returns null when the message is parked (PK1); any other error of `decode`, or of reporting, is rethrown (PK3) */
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

  /** Its promise resolves when all of them have been reported (PK1); those reported before are left out (PK2). */
  async park(messages: readonly MessageToPark[]): Promise<void> {
    const at = new Date().toISOString();
    const parked = messages
      .filter(({ place }) => this.reported.get(partitionOf(place))?.has(place.offset) !== true)
      .map(({ place, reason }) => ({ ...place, reason: plainReason(place, reason), at }));
    if (parked.length === 0) return;
    await this.report(parked);
    for (const place of parked) {
      const { topic, partition, offset, reason } = place;
      this.logger.error({ topic, partition, offset, code: 'MESSAGE_INVALID' }, `skipped: ${reason}`);
      this.parked.inc({ topic });
      const reported = this.reported.get(partitionOf(place)) ?? new Set();
      this.reported.set(partitionOf(place), reported.add(offset));
    }
  }

  /** The message at this place and all before it are done: none of them comes again. */
  committed(place: MessagePlace): void {
    const reported = this.reported.get(partitionOf(place));
    if (reported === undefined) return;
    for (const offset of reported) if (BigInt(offset) <= BigInt(place.offset)) reported.delete(offset);
    if (reported.size === 0) this.reported.delete(partitionOf(place));
  }

  /** Partitions were reassigned: the consumer that has one now begins after what is committed. */
  sharedOut(): void {
    this.reported.clear();
  }
}

/** A message to be skipped. */
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
