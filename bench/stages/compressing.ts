/** Publishing with compression, which the product's publisher does without (docs/decisions/0010). */
import kafkajs, { CompressionTypes, type Kafka } from 'kafkajs';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { compress, uncompress } from 'snappy';
import type { OutgoingMessage } from '#common/kafka/message.js';

/** What kafkajs brings along, and what native libraries can be had for. */
export const COMPRESSIONS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
} as const satisfies Record<string, CompressionTypes>;
export type Compression = keyof typeof COMPRESSIONS;

/** Bytes come in a writer of kafkajs's own and go as they are on the wire. */
interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(bytes: Buffer): Promise<Buffer>;
}

/** A single block without frame, as brokers read it beside the framed kind. */
const SNAPPY: Codec = {
  compress: ({ buffer }) => compress(buffer),
  decompress: async (bytes) => Buffer.from(await uncompress(bytes, { asBuffer: true })),
};

const LZ4: Codec = {
  compress: ({ buffer }) => compressFrame(buffer),
  decompress: (bytes) => decompressFrame(bytes),
};

/** Makes them known to every client of this process, which otherwise refuse to read what was written with them. */
export function addCodecs(): void {
  kafkajs.CompressionCodecs[CompressionTypes.Snappy] = () => SNAPPY;
  kafkajs.CompressionCodecs[CompressionTypes.LZ4] = () => LZ4;
}

export interface CompressingSender {
  /** Resolves when the broker has the message. */
  readonly send: (message: OutgoingMessage) => Promise<unknown>;
  readonly disconnect: () => Promise<void>;
}

/** A producer like the publisher's, and connected. */
export async function connectSender(kafka: Kafka, compression: CompressionTypes): Promise<CompressingSender> {
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    idempotent: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  return {
    send: ({ topic, key, value, headers, partition = 0 }) =>
      producer.send({
        ...{ topic, compression, acks: -1 },
        messages: [{ key, value, headers: { ...headers }, partition }],
      }),
    disconnect: () => producer.disconnect(),
  };
}
