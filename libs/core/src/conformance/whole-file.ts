import { isDecoded } from '../source/encoding.js';
import type { Dataset } from '../dataset/dataset.js';
import { decodeAll } from '../source/text-decoding.js';

/** A whole file as UTF-8, as the ingestor decodes it; a copy only where the dataset says another encoding. */
export function decodeWhole({ encoding }: Pick<Dataset, 'encoding'>, file: Buffer): Buffer {
  return isDecoded(encoding) ? decodeAll(file, encoding) : file;
}
