import { pino } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { askAs, isTrusted } from '../caller.js';
import type { MessageKind } from '../source-kind.js';
import { type TopicAddress, parseTopicAddress } from './topic-address.js';
import { openTopic } from './topic-source.js';
import { TopicConfig } from './topic.config.js';

/** What callers without the token may read: what producers sent in order to have it loaded. */
const INBOX = /^sluice\.[a-z0-9-]+\.inbox$/;

/** Ranges of a topic's offsets: identified by the offsets and the chain of hashes of their contents, read from their start. */
const kind: MessageKind<TopicAddress> = {
  name: 'topic',
  delivers: 'messages',
  schemes: ['topic'],
  isLocal: false,
  form: 'topic://<topic>?<partition>=<from>-<to>&…',
  settings: [TopicConfig],
  parse: parseTopicAddress,
  ask: askAs,
  open: (address, { settings, own, began, lifetime }) => {
    if (!isTrusted(own) && !INBOX.test(address.topic)) throw notAllowed(address);
    const config = settings.of(TopicConfig);
    const kafka = createKafka({
      ...config.kafkaSecurity(),
      brokers: config.brokers(),
      clientId: 'sluice-ingestor-source',
      logger: pino({ level: 'silent' }), // what goes wrong for good is thrown
    });
    return openTopic(kafka, address, lifetime, began !== null);
  },
};

export default kind;

function notAllowed({ display }: TopicAddress): SluiceError {
  return new SluiceError(
    'SOURCE_NOT_ALLOWED',
    `${display}: only topics named sluice.<dataset>.inbox can be read without the token.`,
    { file: display },
  );
}
