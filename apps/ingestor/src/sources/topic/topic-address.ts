import { SluiceError } from '#common/errors/sluice-error.js';
import type { OffsetRange } from '#common/kafka/transport/read-ranges.js';
import type { SourceIdentity } from '#core/source/source-identity.js';
import { parseRanges, writeRanges } from '../offset-ranges.js';
import type { SourceAddress } from '../source-kind.js';

/** Ranges of offsets of one topic. It holds no credentials. */
export interface TopicAddress extends SourceAddress {
  readonly topic: string;
  /** Ascending by partition, each once; perhaps empty. */
  readonly ranges: readonly OffsetRange[];
}

/** Offsets and the chain of hashes identify the content; an own part, though empty, says that the job has begun. */
export const TOPIC_IDENTITY: SourceIdentity = {
  bytes: null,
  etag: null,
  lastModified: null,
  validator: null,
  own: {},
};

/** As Kafka allows. */
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/;

/**
 * Understands `topic://<topic>?<partition>=<from>-<to>&…`.
 * @throws SluiceError SOURCE_UNSUPPORTED; its text shows nothing that is not understood
 */
export function parseTopicAddress(text: string): TopicAddress {
  const url = new URL(text);
  const { host: topic, username, password, pathname, hash, search } = url;
  if (username !== '' || password !== '' || hash !== '' || !/^\/?$/.test(pathname))
    throw unsupported('it has more than a topic and ranges');
  if (!TOPIC.test(topic)) throw unsupported('its topic is not one that Kafka allows');
  const ranges = parseRanges(search.slice(1).split('&'), (problem) => {
    throw unsupported(problem);
  });
  return { topic, ranges, display: topicAddress(topic, ranges) };
}

/** The address of ranges, in the one form in which it is shown. */
export function topicAddress(topic: string, ranges: readonly OffsetRange[]): string {
  return `topic://${topic}?${writeRanges(ranges)}`;
}

function unsupported(problem: string): SluiceError {
  return new SluiceError(
    'SOURCE_UNSUPPORTED',
    `The source is no topic://<topic>?<partition>=<from>-<to>&…: ${problem}.`,
  );
}
