/** A Kafka message as plain data: what the transport hands over and the codecs take. No Kafka import here. */

/**
 * Largest message that Sluice makes, key, headers and value together: what `max.message.bytes` of its topics is set to.
 * Anything above it is refused before it is sent: a broker closes the connection on a request beyond its
 * socket.request.max.bytes, which looks like an outage that passes.
 */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

/** Kafka's own headers, as kafkajs hands them over. */
export type RawHeaders = Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>;

/** The place of a message. */
export interface MessagePlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

/** One Kafka message that was read. */
export interface IncomingMessage {
  readonly place: MessagePlace;
  /** Absent where no code reads it. */
  readonly key?: Buffer | null;
  readonly headers: RawHeaders;
  readonly value: Buffer | null;
}

/** One Kafka message with what its producer said of its time. */
export interface ReadMessage extends IncomingMessage {
  readonly key: Buffer | null;
  /** ms since 1970, by the producer's clock or the broker's, as the topic is set; -1 where none was given. */
  readonly timestamp: number;
  /**
   * The message stands for a batch that cannot be decoded, and why (nothing of its contents). Its place is that of the
   * batch's last message, `firstOffset` that of the first one.
   */
  readonly undecodable?: { readonly firstOffset: string; readonly reason: string };
}

/** One Kafka message to be sent. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly partition?: number;
  readonly key: string;
  readonly headers: Readonly<Record<string, string | Buffer>>;
  readonly value: Buffer;
}

/** One Kafka message to be sent, perhaps a foreign one that is published again: it may lack what Sluice's own always have. */
export interface SendableMessage {
  readonly topic: string;
  readonly partition?: number;
  readonly key: string | Buffer | null;
  readonly headers: Readonly<Record<string, string | Buffer | (string | Buffer)[]>>;
  readonly value: Buffer | null;
}
