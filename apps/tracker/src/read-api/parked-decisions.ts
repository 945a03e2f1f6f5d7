import { Inject, Injectable } from '@nestjs/common';
import type { Kafka } from 'kafkajs';
import { DataSource } from 'typeorm';
import type { ParkedMessageContent, ParkedMessageView, ParkedState } from '#api/parked-messages.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import type { IncomingMessage, MessagePlace } from '#common/kafka/message.js';
import { readMessages } from '#common/kafka/transport/message-reader.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { KAFKA } from '#common/providers/tokens.js';
import { ParkedMessageRow } from '../rows/parked-message.entity.js';
import { parkedView } from './parked-message.reader.js';

/**
 * Publishes or skips single parked messages.
 *
 * - PD1: a message is published again before it is marked, so a crash between the two leaves it open; a repeat is harmless, every
 *   message has a natural id.
 * - PD2: a decision is taken once: of two at a time the second is refused.
 */
@Injectable()
export class ParkedDecisions {
  constructor(
    private readonly database: DataSource,
    @Inject(KAFKA) private readonly kafka: Kafka,
    private readonly publisher: Publisher,
  ) {}

  /** @throws SluiceError PARKED_MESSAGE_UNKNOWN; MESSAGE_EXPIRED when it is not in its topic any more, or cannot be decoded */
  async show(place: MessagePlace): Promise<ParkedMessageContent> {
    const view = parkedView(await this.rowAt(place));
    const { key, headers, value } = await this.messageAt(place);
    return {
      ...view,
      key: key?.toString() ?? null,
      headers: Object.entries(headers).flatMap(([name, given]) =>
        listOf(given).map((each) => ({ name, value: each?.toString() ?? null })),
      ),
      valueBytes: value?.length ?? 0,
      valueBase64: value?.toString('base64') ?? null,
    };
  }

  /** Publishes it again into its partition, where it is handled like any other, and perhaps parked again. */
  async retry(place: MessagePlace): Promise<ParkedMessageView> {
    await this.assertOpen(place);
    const { key, headers, value } = await this.messageAt(place);
    const { topic, partition } = place;
    // A header without a value cannot be sent by every client; Sluice's own always have one.
    const sendable = Object.entries(headers).map(
      ([name, given]) => [name, listOf(given).map((each) => each ?? Buffer.alloc(0))] as const,
    );
    await this.publisher.send([
      { topic, partition, key: key ?? null, headers: Object.fromEntries(sendable), value },
    ]);
    return this.decide(place, 'retried', 'published again');
  }

  async skip(place: MessagePlace, reason: string): Promise<ParkedMessageView> {
    await this.assertOpen(place);
    return this.decide(place, 'skipped', reason);
  }

  /** PD2. */
  private async decide(place: MessagePlace, state: ParkedState, note: string): Promise<ParkedMessageView> {
    const { affected } = await this.database
      .getRepository(ParkedMessageRow)
      .update({ ...placeOf(place), state: 'open' }, { state, note, decidedAt: new Date() });
    if (affected === 0) await this.assertOpen(place);
    return parkedView(await this.rowAt(place));
  }

  private async assertOpen(place: MessagePlace): Promise<void> {
    const { state } = await this.rowAt(place);
    if (state !== 'open')
      throw new ProblemError('PARKED_MESSAGE_DECIDED', `Message ${textOf(place)} was ${state} already.`, 409);
  }

  private async rowAt(place: MessagePlace): Promise<ParkedMessageRow> {
    const row = await this.database.getRepository(ParkedMessageRow).findOneBy(placeOf(place));
    if (row) return row;
    throw new ProblemError('PARKED_MESSAGE_UNKNOWN', `Message ${textOf(place)} was not parked.`, 404);
  }

  private async messageAt(place: MessagePlace): Promise<IncomingMessage> {
    let found: IncomingMessage | undefined;
    await readMessages(this.kafka, [place], (message) => {
      found = message;
      return Promise.resolve();
    });
    if (found) return found;
    throw new ProblemError('MESSAGE_EXPIRED', `Message ${textOf(place)} cannot be had.`, 422);
  }
}

type HeaderValue = string | Buffer | null;

/** A foreign producer's header may be a list, or have no value. */
function listOf(given: IncomingMessage['headers'][string]): readonly HeaderValue[] {
  if (given === undefined) return [];
  return Array.isArray(given) ? given : [given];
}

function placeOf({ topic, partition, offset }: MessagePlace): MessagePlace {
  return { topic, partition, offset };
}

function textOf({ topic, partition, offset }: MessagePlace): string {
  return `${topic}/${partition}/${offset}`;
}
