import { pino } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { MessageSeal } from '#core/message/message-seal.js';
import { askAs, isTrusted } from '../caller.js';
import type { BatchKind } from '../source-kind.js';
import { RAW_FORM, type RawAddress, parseRawAddress } from './raw-address.js';
import { openRawBatches } from './raw-source.js';
import { RawConfig } from './raw.config.js';

/** What an earlier job has published: its raw batches, as they stand in the raw topic. Replays read it. */
const kind: BatchKind<RawAddress> = {
  name: 'raw',
  delivers: 'batches',
  schemes: ['raw'],
  isLocal: false,
  form: RAW_FORM,
  settings: [RawConfig],
  parse: parseRawAddress,
  ask: askAs,
  open: (address, { settings, own, began, lifetime }) => {
    if (!isTrusted(own)) throw notAllowed(address);
    const config = settings.of(RawConfig);
    const kafka = createKafka({
      ...config.kafkaSecurity(),
      brokers: config.brokers(),
      clientId: 'sluice-ingestor-source',
      logger: pino({ level: 'silent' }), // what goes wrong for good is thrown
    });
    return openRawBatches(kafka, address, MessageSeal.of(config.messageKey), lifetime, began !== null);
  },
};

export default kind;

function notAllowed({ display }: RawAddress): SluiceError {
  return new SluiceError('SOURCE_NOT_ALLOWED', `${display}: raw topics cannot be read without the token.`, {
    file: display,
  });
}
