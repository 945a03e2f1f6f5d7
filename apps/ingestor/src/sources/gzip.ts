import { createGunzip } from 'node:zlib';
import type { ByteReader } from './byte-reader.js';
import { INFLATED_CHUNK_BYTES, type RatioMeter, corrupt, inflate } from './inflate.js';

/**
 * The content of a gzip of one or more members (RFC 1952 section 2.2). zlib checks each member's CRC and size.
 * Zeros after the last member are padding; anything else there is refused, because node:zlib would pass over a
 * further member behind such padding without a word.
 */
export async function* gunzip(reader: ByteReader, meter: RatioMeter): AsyncGenerator<Buffer> {
  const decoder = createGunzip({ chunkSize: INFLATED_CHUNK_BYTES });
  for await (const chunk of inflate(reader, decoder)) {
    meter.count(chunk.length, decoder.bytesWritten);
    yield chunk;
  }
  for await (const padding of reader.rest()) {
    if (padding.some((byte) => byte !== 0))
      throw corrupt(reader.display, 'something follows the end of the gzip');
  }
}
