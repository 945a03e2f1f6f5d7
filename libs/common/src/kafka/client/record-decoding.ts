/**
 * Lets kafkajs decode what it fetches by `record-batches.ts`, and read every compression.
 *
 * Two hooks: the one function by which kafkajs's answers to Fetch, versions 4 to 11, decode their records, which is loaded
 * with the first fetch; and its table of Fetch requests, where question and answer meet (fetch-answers.ts).
 * `batch-parking.medium-spec.ts` and `damaged-log.medium-spec.ts` read from a real broker through them.
 */
import { createRequire } from 'node:module';
import kafkajs from 'kafkajs';
import { CODECS, MAX_UNPACKED_BYTES } from './codecs/codecs.js';
import { type FetchAnswer, type FetchRequest, withTroublesInPlace } from './fetch-answers.js';
import { decodeRecordBatches } from './record-batches.js';

/** kafkajs's reader of bytes. */
interface Decoder {
  readInt32(): number;
  readBytes(length: number): Buffer;
  canReadBytes(length: number): boolean;
}
type DecoderClass = new (bytes: Buffer) => Decoder;
type DecodeSet = (decoder: Decoder, bytes: number) => Promise<readonly object[]>;

const DECODE_MESSAGES = 'kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js';

let isInstalled = false;

/** Installs the hook in this process's kafkajs; once, before the first fetch. */
export function installRecordDecoding(): void {
  if (isInstalled) return;
  isInstalled = true;
  const require = createRequire(import.meta.url);
  const KafkajsDecoder = require('kafkajs/src/protocol/decoder.js') as DecoderClass;
  const decodeSet = require('kafkajs/src/protocol/messageSet/decoder.js') as DecodeSet;
  // Inside old message sets kafkajs unpacks itself.
  const theirs = kafkajs.CompressionCodecs as Record<number, () => KafkajsCodec>;
  for (const [number, codec] of CODECS) {
    const compress = ownCompression(theirs[number]);
    const decompress = async (bytes: Buffer): Promise<Buffer> => codec.inflate(bytes, MAX_UNPACKED_BYTES);
    theirs[number] = () => ({ compress, decompress });
  }
  installTroublesInPlace(require('kafkajs/src/protocol/requests/fetch/index.js') as FetchTable);
  require(DECODE_MESSAGES);
  const loaded = require.cache[require.resolve(DECODE_MESSAGES)];
  if (!loaded) throw new TypeError('kafkajs is not built as its hooks expect: another version is installed.');
  loaded.exports = async (decoder: Decoder): Promise<object[]> => {
    const length = decoder.readInt32();
    if (length <= 0 || !decoder.canReadBytes(length)) return [];
    return decodeRecordBatches(decoder.readBytes(length), (bytes) =>
      decodeSet(new KafkajsDecoder(bytes), bytes.length),
    );
  };
}

interface FetchDefinition {
  readonly response: { readonly parse: (answer: FetchAnswer) => Promise<FetchAnswer> };
}

interface FetchTable {
  protocol: (of: { version: number }) => (request: FetchRequest) => FetchDefinition;
}

function installTroublesInPlace(table: FetchTable): void {
  const { protocol } = table;
  table.protocol = (of) => {
    const define = protocol(of);
    return (request) => {
      const definition = define(request);
      const { response } = definition;
      const parse = (answer: FetchAnswer): Promise<FetchAnswer> =>
        response.parse(withTroublesInPlace(request, answer));
      return { ...definition, response: { ...response, parse } };
    };
  };
}

interface KafkajsCodec {
  readonly compress: (encoder: object) => Promise<Buffer>;
  readonly decompress: (bytes: Buffer) => Promise<Buffer>;
}

/** kafkajs brings gzip along, and throws for the others. */
function ownCompression(codec: (() => KafkajsCodec) | undefined): KafkajsCodec['compress'] {
  try {
    if (codec) return codec().compress;
  } catch {
    // kafkajs has only the name of this codec.
  }
  return () => Promise.reject(new TypeError('Sluice sends nothing compressed.'));
}
