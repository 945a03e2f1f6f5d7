/**
 * Every way in which a producer may have compressed a batch of records, by its number in the batch's attributes.
 *
 * Sluice's own topics are not compressed (docs/decisions/0010), and the brokers unpack what others send to them
 * (`compression.type`, docs/decisions/0015). What was written before that was set, or while it was being changed, is read
 * as well.
 */
import { gunzip } from './gzip.js';
import { inflateLz4Frame } from './lz4.js';
import { inflateSnappy } from './snappy.js';
import { inflateZstd } from './zstd.js';

/** Limit of one unpacked batch: twice the largest message. A batch that unpacks to more is parked. */
export const MAX_UNPACKED_BYTES = 16 * 1024 * 1024;

export interface Codec {
  readonly name: string;
  /** @throws Error when the bytes are not whole and right, or unpack to more than `maxBytes` */
  inflate(bytes: Buffer, maxBytes: number): Promise<Buffer> | Buffer;
}

export const CODECS: ReadonlyMap<number, Codec> = new Map([
  [1, { name: 'gzip', inflate: gunzip }],
  [2, { name: 'snappy', inflate: inflateSnappy }],
  [3, { name: 'lz4', inflate: inflateLz4Frame }],
  [4, { name: 'zstd', inflate: inflateZstd }],
]);
