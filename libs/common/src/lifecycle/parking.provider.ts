import type { FactoryProvider } from '@nestjs/common';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import type { OutgoingMessage } from '../kafka/message.js';
import { MessageParking, type ParkedMessage } from '../kafka/transport/message-parking.js';
import { Publisher } from '../kafka/transport/publisher.js';
import { LOGGER } from '../providers/tokens.js';

/**
 * MessageParking of a service that reports what it parks in messages of its own.
 * @param encode one message for each parked one
 */
export function parkingProvider(
  encode: (parked: ParkedMessage) => OutgoingMessage,
): FactoryProvider<MessageParking> {
  return {
    provide: MessageParking,
    inject: [Registry, Publisher, LOGGER],
    useFactory: (registry: Registry, publisher: Publisher, logger: Logger) =>
      new MessageParking(registry, logger, (parked) => publisher.send(parked.map(encode))),
  };
}
